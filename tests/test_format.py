"""`bizrun fmt`: what is formatted means the same, stays as it is, and keeps every comment."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from random import Random

import pytest

from bizrun.diagnostics import Source
from bizrun.lang.format import WIDTH, format_text, formatted, same_meaning
from bizrun.lang.parse import parse

from .conftest import ROOT

GOLDENS = sorted((ROOT / "tests" / "golden" / "fmt").glob("*.biz"))
SPECS = [
    path
    for folder in ("specs", "src/bizrun/std", "benchmarks/specs", "tests/golden")
    for path in sorted((ROOT / folder).glob("**/*.biz"))
    if not any(
        d.severity == "error" for d in parse(Source("a", path.read_text("utf-8"))).diagnostics
    )
]


def comments(text: str) -> list[str]:
    return [comment.text for comment in parse(Source("a", text)).comments]


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_golden(path: Path, update: bool) -> None:
    found, problems = formatted(Source(path.name, path.read_text(encoding="utf-8")))
    assert found is not None and not problems
    stored = path.with_suffix(".out")
    if update:
        stored.write_text(found, encoding="utf-8")
    assert found == stored.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_twice_is_once_and_nothing_is_lost(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    once, problems = formatted(Source("a", text))
    assert once is not None and not problems
    assert formatted(Source("a", once))[0] == once
    assert comments(once) == comments(text)
    assert same_meaning(parse(Source("a", once)).file) == same_meaning(
        parse(Source("a", text)).file
    )


@pytest.mark.parametrize("seed", range(20))
def test_blanks_do_not_matter(seed: int) -> None:
    """Other blanks and indents, not before two or more of them, format to the same text."""
    random = Random(seed)
    text = format_text((ROOT / "specs" / "saas.biz").read_text(encoding="utf-8"))
    lines = []
    for line in text.split("\n"):
        quiet = '"""' in text or '"' in line or "  " in line.strip() or "#" in line
        body = line.strip() if quiet else re.sub(" ([=<>+{}])", lambda m: " " + m[1], line.strip())
        lines.append(" " * random.randrange(9) + body + " " * random.randrange(3))
    assert format_text("\n".join(lines)) == text


def test_long_lines_are_broken() -> None:
    fields = ", ".join(f"field_{number}: {number}" for number in range(20))
    text = format_text(f"on A.b {{ emit C.d {{ {fields} }} }}\n")
    assert all(len(line) <= WIDTH for line in text.split("\n"))
    assert text.startswith("on A.b {\n  emit C.d {\n    field_0: 0\n    field_1: 1\n")


LONG = """
entity Order { id text key, other text, where text, status "a" | "b" = "a", index other, status, }
role reader { can docs.read, docs.write, notes.read, notes.write }
on Order.made as order {
  create Order { id: order.id, other, where: "x", "two words": 2, ...order }
  match order.kind { "a", "b" => { log "x" }, "c", "d" => { log "y" }, else => { log "z" } }
}
"""


def test_a_broken_line_keeps_no_comma_but_those_that_it_needs() -> None:
    """A line end separates as well, but not within a list that has no brackets."""
    text = format_text(LONG, 40)
    assert same_meaning(parse(Source("a", text)).file) == same_meaning(
        parse(Source("a", LONG)).file
    )
    assert text.split("\n") == [
        "entity Order {",
        "  id text key",
        "  other text,",
        "  where text",
        '  status "a" | "b" = "a"',
        "  index other, status",
        "}",
        "",
        "role reader {",
        "  can docs.read,",
        "  docs.write,",
        "  notes.read,",
        "  notes.write",
        "}",
        "",
        "on Order.made as order {",
        "  create Order {",
        "    id: order.id",
        "    other,",
        '    where: "x"',
        '    "two words": 2',
        "    ...order",
        "  }",
        "  match order.kind {",
        '    "a",',
        '    "b" => { log "x" },',
        '    "c",',
        '    "d" => { log "y" },',
        '    else => { log "z" }',
        "  }",
        "}",
        "",
    ]


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_also_broken_lines_stay_as_they_are(path: Path) -> None:
    once = format_text(path.read_text(encoding="utf-8"), 60)
    assert format_text(once, 60) == once


def test_the_command(bizrun: Path, tmp_path: Path) -> None:
    def run(*args: str, code: int, input: bytes = b"") -> tuple[str, str]:
        done = subprocess.run(
            [bizrun, "fmt", *args], capture_output=True, cwd=tmp_path, input=input, timeout=60
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout.decode(), done.stderr.decode()

    bad, good = "const   a=1\n", "const a = 1\n"
    spec = tmp_path / "a.biz"
    spec.write_text(bad)
    (tmp_path / "broken.biz").write_text("on {")
    assert run("a.biz", "--check", code=1)[0] == "would format a.biz\n"
    assert "-const   a=1\n+const a = 1\n" in run("a.biz", "--diff", code=1)[0]
    assert spec.read_text() == bad
    said = run(".", code=1)
    assert said[0] == "formatted a.biz\n"
    assert "1 file formatted, 1 file with mistakes left alone, 0 files unchanged" in said[1]
    assert "E0101" in said[1] or "E01" in said[1]
    assert spec.read_text() == good
    assert run("a.biz", code=0) == ("", "0 files formatted, 1 file unchanged\n")
    assert run("-", code=0, input=bad.encode())[0] == good
    assert run("-", "--check", code=1, input=bad.encode())[0] == ""
    assert "There is no file" in run("none.biz", code=2)[1]
    assert "YAML" in run("a.biz.yaml", code=2)[1]
