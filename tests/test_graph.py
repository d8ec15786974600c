"""`bizrun graph`: what follows from what, in three forms."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bizrun.cli.main import main

from .conftest import ROOT

SPEC = """\
business "Shop" { currency USD, timezone "UTC", bills Member }
entity Member { id text key, email text, points number = 0, state "new" | "old" = "new" }
plan basic { price 10 USD per month }
event Member.joined key id { id text, email text }
event Member.asked { member Member }
trigger Member.keen for Member when .points reaches 10
lifecycle Member.state { start "new", "new" -> "old" after 30 days, any -> "new" on Member.asked }
on Member.joined as joined {
  let member = create Member { id: joined.id, email: joined.email }
  subscribe { customer: member, plan: basic }
  after 7 days { email { to: member.email, subject: "A \\"week\\"", body: "Hi." } }
  emit Member.asked { member }
}
on Member.keen(member) {
  wait for Member.asked as asked where asked.member == member
  notify { to: "desk", message: "Hm" }
}
every day at 09:00 { log "a" }
api GET "/points" () for member { return { points: member.points } }
"""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.biz").write_text(SPEC)
    return "shop.biz"


def test_mermaid(spec: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", spec]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "flowchart LR"
    named = {line.strip() for line in lines}
    for part in (
        'n1{{"Member: .points reaches 10"}}', 'n2(["Member.keen"])', 'n3["shop.biz:8"]',
        'subgraph "Member.state"',
    ):  # fmt: skip
        assert part in named, lines
    assert [line for line in lines if "-->" in line] == [
        "  n1 --> n2",
        "  n4 --> n3",
        "  n3 --> n5",
        '  n3 -->|"after 7 days"| n6',
        "  n3 --> n7",
        "  n2 --> n8",
        '  n7 -->|"waited for"| n8',
        "  n8 --> n9",
        '  n12 -->|"after 30 days"| n13',
        '  n14 -->|"Member.asked"| n12',
    ]


def test_dot_and_svg(spec: str, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["graph", spec, "--format", "dot"]) == 0
    said = capfd.readouterr().out
    assert said.startswith("digraph {") and 'n3 -> n6 [label="after 7 days"]' in said
    assert main(["graph", spec, "--format", "svg", "--out", "shop.svg"]) == 0
    root = ET.parse(tmp_path / "shop.svg").getroot()
    texts = {"".join(element.itertext()) for element in root.iter() if element.tag.endswith("text")}
    assert "new → old   after 30 days" in texts
    assert len([e for e in root.iter() if e.tag.endswith("path")]) == 8 + 1


def test_all_specs_are_drawn(capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("saas", "shop", "b2b-saas/b2b-saas"):
        for form in ("mermaid", "svg"):
            assert main(["graph", str(ROOT / "specs" / f"{name}.biz"), "--format", form]) == 0
        assert "subscribe" in capfd.readouterr().out or name == "shop"


def test_a_wrong_spec(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong.biz"
    wrong.write_text("on {")
    assert main(["graph", str(wrong)]) == 1
    assert "error" in capfd.readouterr().err
