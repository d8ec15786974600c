"""Each code of declarations is explained by an example that has it; and what depends on files."""

from __future__ import annotations

import pytest

from bizrun.actions import open_action
from bizrun.actions.signatures import SIGNATURES
from bizrun.diagnostics import Diagnostic
from bizrun.lang.check import check
from bizrun.lang.check.codes import CODES
from bizrun.lang.check.codes_declarations import CODES as DECLARATIONS
from bizrun.lang.check.schedules import cron_problem
from bizrun.lang.modules import load_text

from .conftest import ROOT
from .golden_check import GOLDENS, marked

OF_FILES = {"E0501", "E0502", "E0503", "E0504"}


def found(text: str, others: dict[str, str] | None = None) -> tuple[Diagnostic, ...]:
    checked = check(load_text("spec.biz", text, others), SIGNATURES, open_action)
    return checked.diagnostics


def codes(text: str, others: dict[str, str] | None = None) -> set[str]:
    return {problem.code for problem in found(text, others)}


@pytest.mark.parametrize("code", sorted(set(DECLARATIONS) - OF_FILES))
def test_each_example_has_its_mistake(code: str) -> None:
    example = DECLARATIONS[code].example
    lines = [i for i, line in enumerate(example.split("\n"), 1) if f"# {code}" in line]
    checked = check(load_text("spec.biz", example), SIGNATURES, open_action)
    source = checked.loaded.sources["spec.biz"]
    places = {(d.code, source.position(d.span.start)[0]) for d in checked.diagnostics}
    assert [(code, line) for line in lines] == [place for place in places if place[0] == code]
    errors = {place for place in places if place[0].startswith("E")} - {(code, lines[0])}
    assert not errors


def test_each_code_is_marked_in_a_golden() -> None:
    seen = {code for path in GOLDENS for line in marked(path).values() for code in line}
    assert not set(DECLARATIONS) - seen - OF_FILES


def test_the_page_of_errors_is_what_the_codes_say(update: bool) -> None:
    page = ROOT / "docs" / "errors.md"
    if update:
        page.write_text(errors_page(), encoding="utf-8")
    assert page.read_text(encoding="utf-8") == errors_page(), "run: pytest --update"


def errors_page() -> str:
    lines = ["# Errors and warnings", ""]
    lines += ["What `bizrun check` finds. `bizrun check --explain CODE` prints the same.", ""]
    for code, entry in CODES.items():
        lines += [f"## {code}: {entry.title}", "", entry.why, "", "```", entry.example, "```", ""]
    return "\n".join(lines)


# --- files -------------------------------------------------------------------------------------


def test_a_used_file_that_is_not_there() -> None:
    (problem,) = found('use "./plns.biz"\n', {"plans.biz": ""})
    assert problem.code == "E0501"
    assert problem.help == 'did you mean `use "./plans.biz"`?'


def test_files_in_a_circle() -> None:
    assert codes('use "./b.biz"\n', {"b.biz": 'use "./spec.biz"\n'}) == {"E0502"}
    assert codes('use "./spec.biz"\n') == {"E0502"}


def test_a_file_used_twice_is_read_once() -> None:
    others = {
        "x/b.biz": 'use "../c.biz"\n',
        "c.biz": "const base = 9 USD\n",
    }
    text = 'use "./x/b.biz"\nuse "c.biz"\nplan pro { price base per month }\n'
    loaded = load_text("spec.biz", text, others)
    assert [file.span.file for file in loaded.files[1:]] == ["c.biz", "x/b.biz", "spec.biz"]
    assert not found(text, others)


def test_a_chain_of_files_of_any_length() -> None:
    others = {f"f{i}.biz": f'use "./f{i + 1}.biz"\n' for i in range(1500)}
    others["f1500.biz"] = "const base = 9 USD\n"
    assert len(load_text("spec.biz", 'use "./f0.biz"\n', others).files) == 1503


def test_no_such_module() -> None:
    assert codes("use std.nothing\n") == {"E0503"}


# --- templates ---------------------------------------------------------------------------------

JOINED = """
entity User { id text key, name text, email text }
event User.joined { user User }
on User.joined(user) {
  email { to: user.email, template: "welcome", data: { user } }
}
"""


def test_a_template_file_is_read_beside_the_spec() -> None:
    assert not found(JOINED, {"templates/welcome.md": "Hello {{ user.name }}\n"})
    assert codes(JOINED) == {"E0211"}


def test_a_mistake_in_a_template_file_stands_on_its_line() -> None:
    text = "---\nsubject: Hi\n---\nHello {% if %}\n"
    (problem,) = found(JOINED, {"templates/welcome.md": text})
    assert problem.code == "E0841"
    assert (problem.span.file, problem.span.start) == ("templates/welcome.md", text.index("Hello"))


def test_names_of_loops_and_defaults_are_given() -> None:
    text = (
        "{% for letter in user.name %}{{ letter }}{{ loop.index }}{% endfor %}"
        "{% if coupon is defined %}{{ coupon }}{% endif %}{{ note | default('') }}{{ business }}"
    )
    assert not found(JOINED, {"templates/welcome.md": text})


# --- what stays silent ---------------------------------------------------------------------------


def test_nothing_is_said_of_what_a_broken_declaration_may_hold() -> None:
    text = """
event Lead.lost { id text }
on Lead.lost as e { let = }
plan pro { trial = }
meter calls sum units
plan other { price 9 USD per month, usage calls: 1 USD }
"""
    assert all(code < "E0200" for code in codes(text))


@pytest.mark.parametrize(
    ("line", "fine"),
    [
        ("0 0 1 * *", True),
        ("*/15 8-18 * * mon-fri", True),
        ("0 0 L * *", True),
        ("0 0 29 2 *", True),
        ("0 0 30 2 *", False),
        ("0 0 31 4,6,9,11 *", False),
        ("0 0 31 2 mon", True),
        ("60 0 * * *", False),
        ("0 0 * *", False),
        ("", False),
        ("*/0 * * * *", False),
        ("a b c d e", False),
        ("@daily", True),
    ],
)
def test_cron(line: str, fine: bool) -> None:
    assert (cron_problem(line) is None) == fine
