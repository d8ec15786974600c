"""`bizrun diff`: what changed in meaning, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bizrun.cli.main import main

from .conftest import ROOT

Tell = Callable[..., str]
OLD = """\
business "Shop" { currency USD, timezone "UTC", bills Member }
entity Member { id text key, email text }
plan basic "Basic" {
  price 10 USD per month   # cheap
  limits { users: 3 }
}
coupon HALF { 50% off once }
event Member.joined key id { id text, email text }
on Member.joined as joined {
  let member = create Member { ...joined }
  subscribe { customer: member, plan: basic }
  after 7 days { email { to: member.email, template: "hello", data: { member } } }
}
every day at 09:00 { log "a" }
"""
NEW = """\
# Everything is new here, but means what it did: order, layout, comments.
business "Shop" { currency USD, timezone "UTC", bills Member }
event Member.joined key id { id text, email text }
entity Member {
  id    text key
  email text           # where to write to
}
## What we sell.
plan basic "Basic" { price 10 USD per month, limits { users: 3 } }
coupon HALF { 50% off once }
every day at 09:00 { log "a" }
on Member.joined as joined {
  let member = create Member { ...joined }
  subscribe { customer: member, plan: basic }
  after 7 days { email { to: member.email, template: "hello", data: { member } } }
}
"""


@pytest.fixture
def told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Tell:
    for name, text in {"old": OLD, "new": NEW}.items():
        (tmp_path / name / "templates").mkdir(parents=True)
        (tmp_path / name / "shop.biz").write_text(text)
        (tmp_path / name / "templates" / "hello.md").write_text("---\nsubject: Hi\n---\nHello.\n")
    monkeypatch.chdir(tmp_path)

    def tell(*args: str, code: int = 0) -> str:
        assert main(["diff", "old/shop.biz", "new/shop.biz", *args]) == code
        out, err = capfd.readouterr()
        return out + err

    return tell


def edit(old: str, new: str, name: str = "shop.biz") -> None:
    path = Path("new") / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_layout_means_nothing(told: Tell) -> None:
    assert told() == "They mean the same.\n"


def test_what_changed(told: Tell) -> None:
    edit("price 10 USD", "price 12 USD")
    edit("after 7 days", "after 8 days")
    edit("coupon HALF { 50% off once }", "coupon THIRD { 30% off once }")
    edit("Hello.", "Hello, {{ member.id }}.", "templates/hello.md")
    assert (
        told()
        == """\
- coupon HALF  old/shop.biz:7
~ plan basic  new/shop.biz:9
    - price 10 USD per month
    + price 12 USD per month
+ coupon THIRD  new/shop.biz:10
~ on Member.joined  new/shop.biz:12
    - after 7 days {
    + after 8 days {
~ template hello  new/templates/hello.md
    - Hello.
    + Hello, {{ member.id }}.

What is under way in a handler goes on as it began, on the old version.
"""
    )
    rows = json.loads(told("--json"))
    assert [(row["change"], row["waits"]) for row in rows] == [
        ("removed", False), ("changed", False), ("added", False), ("changed", True),
        ("changed", False),
    ]  # fmt: skip


def test_yaml_is_the_same_spec(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    spec = ROOT / "specs" / "saas.biz"
    (tmp_path / "templates").symlink_to(spec.parent / "templates")
    converted = tmp_path / "saas.biz.yaml"
    assert main(["convert", str(spec), "--to", "yaml", "-o", str(converted)]) == 0
    capfd.readouterr()
    assert main(["diff", str(spec), str(converted)]) == 0
    assert capfd.readouterr().out == "They mean the same.\n"


def test_a_wrong_spec(told: Tell) -> None:
    edit("plan: basic", "plan: basik")
    assert "basik" in told(code=1)


def test_what_overrides_is_called_by_what_it_overrides(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (
        'business "Desk" { bills User }\nuse std.trials\nentity User { id text key, email text }\n'
    )
    override = "override const trial_reminder = 5 days\n"
    handler = 'override std.trials on Trial.reminder(subject) { log "{subject}" }\n'
    Path("old.biz").write_text(text + override, encoding="utf-8")
    Path("new.biz").write_text(text + override.replace("5", "6") + handler, encoding="utf-8")
    assert main(["diff", "old.biz", "new.biz"]) == 0
    assert capfd.readouterr().out == (
        "~ override const trial_reminder  new.biz:4\n"
        "    - override const trial_reminder = 5 days\n"
        "    + override const trial_reminder = 6 days\n"
        "+ override std.trials on Trial.reminder  new.biz:5\n"
    )
