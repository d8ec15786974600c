"""The YAML form: what it says wrong, and that it means what the .biz form means."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from bizrun.actions import open_action
from bizrun.actions.signatures import SIGNATURES
from bizrun.cli.main import main
from bizrun.diagnostics import Source
from bizrun.ir import nodes as ir
from bizrun.ir.lower_program import lower
from bizrun.ir.program import Program
from bizrun.lang import ast
from bizrun.lang.check import check
from bizrun.lang.format import format_text, same_meaning
from bizrun.lang.modules import load, load_text
from bizrun.lang.parse import parse
from bizrun.lang.symbols import Checked
from bizrun.lang.yaml.emit import emit
from bizrun.lang.yaml.read import compose, parse_yaml
from bizrun.lang.yaml.schema import schema
from bizrun.lang.yaml.tree import Mapping as MappingNode
from bizrun.lang.yaml.tree import Scalar, Sequence, Value, read_tree
from bizrun.lang.yaml.write import write_yaml

from .conftest import ROOT

SPECS = [
    path
    for folder in (
        "specs",
        "src/bizrun/std",
        "benchmarks/specs",
        "tests/golden/billing",
        "tests/golden/run",
        "tests/golden/parse/language",
    )
    for path in sorted((ROOT / folder).glob("**/*.biz"))
]


BOMB = "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# --- Mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "on: [",
        "a: b: c",
        "\t- x",
        "on: *nothing",
        "--- {}\n--- {}",
        "[" * 200 + "]" * 200,
        "a: &a [x, x, x, x, x, x, x, x]\n" + BOMB,
        "? [a, b]\n: c",
        "\x00",
        "on:\n  - event: A.b\n    do: 'log 1 } on C.d { log 2'",
    ],
)  # fmt: skip
def test_what_is_no_spec_is_told(text: str) -> None:
    parsed = parse_yaml(Source("a.biz.yaml", text))
    assert parsed.diagnostics
    assert all(0 <= d.span.start <= d.span.end <= len(text) for d in parsed.diagnostics)


@given(st.text(alphabet="on:-{}[]\"'#|>&*! \nabé", max_size=60))
def test_no_text_stops_the_reader(text: str) -> None:
    parse_yaml(Source("a.biz.yaml", text))


def test_mistakes_stand_where_they_are_in_the_file() -> None:
    text = "business: { currency: USD }\nconstants:\n  grace: 7 dys\n  fee: '29 USD + 1'\n"
    loaded = load_text("a.biz.yaml", text)
    problems = check(loaded, SIGNATURES, open_action).diagnostics
    places = [(d.code, text[d.span.start : d.span.end]) for d in problems]
    assert ("E0113", "7 dys") in places
    assert ("E0302", "29 USD + 1") in places


# --- Both forms mean the same ------------------------------------------------------------------


def sorted_meaning(file: ast.File) -> list[str]:
    """The declarations of a file, and the lines of its plans, without their order among kinds."""
    return sorted(repr(regular(same_meaning(declaration))) for declaration in file.declarations)


def regular(value: Any) -> Any:
    if isinstance(value, tuple):
        items = tuple(regular(item) for item in value)
        lines = bool(items) and all(isinstance(i, tuple) and i[:1] in LINES for i in items)
        return tuple(sorted(items, key=lambda item: item[:2] if item[0] == "PlanClause" else
                            item[:1])) if lines else items  # fmt: skip
    return value


LINES = [("Price",), ("UsagePrice",), ("Includes",), ("PlanClause",), ("Phase",),
         ("PriceVersion",)]  # fmt: skip


@pytest.mark.parametrize("path", SPECS, ids=name)
def test_there_and_back(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    file = parse(Source("a.biz", text)).file
    there = write_yaml(text, file)
    parsed = parse_yaml(Source("a.biz.yaml", there))
    assert not parsed.diagnostics, there
    assert sorted_meaning(parsed.file) == sorted_meaning(file)
    # And as text: what the YAML stands for, formatted, is a .biz file that means the same.
    back = format_text(compose(Source("a.biz.yaml", there))[0].text)
    assert sorted_meaning(parse(Source("b.biz", back)).file) == sorted_meaning(file)
    again = write_yaml(back, parse(Source("b.biz", back)).file)
    assert parse_yaml(Source("a.biz.yaml", again)).diagnostics == ()


def plain(value: Any) -> Any:
    """The IR as plain data, without places and trees."""
    match value:
        case ir.Place() | ast.Node():
            return None
        case Mapping():
            return sorted((str(key), plain(item)) for key, item in value.items())
        case tuple() | list():
            return [plain(item) for item in value]
        case set() | frozenset():
            return sorted(map(str, value))
    if isinstance(value, Struct):
        of_files = ("path",) if isinstance(value, Program) else ()
        named = (name for name in value.__struct_fields__ if name not in of_files)
        pairs = ((name, plain(getattr(value, name))) for name in named)
        return [type(value).__name__, *pairs]
    return value if isinstance(value, str | int | bool | None) else repr(value)


def checked(path: str, files: Mapping[str, bytes]) -> Checked:
    def read(wanted: str) -> bytes:
        return files.get(wanted) or Path(wanted).read_bytes()

    def listed(folder: str) -> list[str]:
        return [entry.name for entry in Path(folder or ".").iterdir()]

    return check(load(path, read, listed), SIGNATURES, open_action)


RUN = [path for path in SPECS if "language" not in path.parts and "std" not in path.parts]


@pytest.mark.parametrize("path", RUN, ids=name)
def test_the_ir_is_the_same(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    there = write_yaml(text, parse(Source("a.biz", text)).file).encode()
    one = checked(str(path), {})
    two = checked(f"{path}.yaml", {f"{path}.yaml": there})
    assert sorted(d.code for d in one.diagnostics) == sorted(d.code for d in two.diagnostics)
    if one.ok:
        assert plain(lower(one)) == plain(lower(two))


TEXT = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n\t"), max_size=40
)
DATA = st.recursive(
    TEXT | st.none(),
    lambda inner: (
        st.dictionaries(TEXT, inner, max_size=3)
        | st.lists(inner.filter(lambda value: value is not None), max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(TEXT, DATA, max_size=3))
def test_what_is_emitted_reads_back(data: dict[str, Any]) -> None:
    source = Source("a.yaml", emit(data))
    root, problems = read_tree(source)
    assert not problems, source.text
    assert (back(root) if data else {}) == data


def back(value: Value | None) -> Any:
    match value:
        case Scalar():
            return None if value.empty else value.text
        case MappingNode():
            return {key.text: back(item) for key, item in value.pairs}
        case Sequence():
            return [back(item) for item in value.items]
    return None


# --- The contract's own example, the schema, the command ----------------------------------------

EXAMPLE = """
business: { name: Acme, currency: USD, bills: Account, timezone: America/Los_Angeles }
entities:
  Account: { id: text key, email: text, plan: plan?, status: '"trial" | "active" = "trial"' }
events:
  Customer.signup: { id: text, email: text }
plans:
  pro: { name: Professional, price: 99 USD per month, trial: 14 days, limits: { users: 10 } }
on:
  - event: Customer.signup
    as: signup
    do:
      - let: account
        create: Account
        with: { id: signup.id, email: signup.email, status: '"trial"' }
      - email: { to: signup.email, template: '"welcome"' }
      - subscribe: { customer: account, plan: pro }
templates:
  welcome: { subject: Welcome, body: Good to see you. }
tests:
  a trial converts:
    - at: 2026-01-31T09:00:00Z
    - emit: Customer.signup
      with: { id: '"a1"', email: '"ada@example.com"' }
    - expect: 1 email
      with: { to: '"ada@example.com"', template: '"welcome"' }
    - advance: 15 days
    - expect: 1 charge
      with: { amount: 99 USD }
    - expect Account("a1").plan == none
"""


def test_the_command_runs_both_forms(bizrun: Path, tmp_path: Path) -> None:
    spec = tmp_path / "acme.biz.yaml"
    spec.write_text(EXAMPLE, encoding="utf-8")

    def run(*args: str, code: int = 0) -> str:
        done = subprocess.run(
            [bizrun, *args], capture_output=True, text=True, cwd=tmp_path, timeout=60
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    assert "fine" in run("check", "--strict", ".")
    biz = run("convert", "acme.biz.yaml", "--to", "biz")
    (tmp_path / "other.biz").write_text(biz, encoding="utf-8")
    assert run("fmt", "--check", "other.biz") == ""
    assert "2 passed" in run("test", ".")
    again = run("convert", "other.biz", "--to", "yaml")
    assert parse_yaml(Source("x.yaml", again)).diagnostics == ()
    spec.write_text("on: {", encoding="utf-8")
    run("convert", "acme.biz.yaml", "--to", "biz", code=1)
    run("convert", "missing.biz", "--to", "yaml", code=2)


@pytest.mark.parametrize("name", ["shop", "monetization/subscription", "monetize/services"])
def test_a_year_in_yaml_is_the_same_year(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The same state hash and, byte for byte, the same emails, invoices and effects."""
    folder = (ROOT / "specs" / name).parent
    spec, short = ROOT / "specs" / f"{name}.biz", Path(name).name
    (tmp_path / "templates").symlink_to(folder / "templates")
    converted = tmp_path / f"{short}.biz.yaml"
    assert main(["convert", str(spec), "--to", "yaml", "-o", str(converted)]) == 0
    assert main(["test", str(converted)]) == 0
    events = ["--events", str(folder / f"{short}.events.jsonl"), "--invoices", "html"]
    for form, path in {"biz": spec, "yaml": converted}.items():
        place = ["--state", str(tmp_path / f"{form}.db"), "--out", str(tmp_path / form)]
        assert main(["run", str(path), *events, *place]) == 0
    capfd.readouterr()
    assert main(["state-hash", "--state", str(tmp_path / "biz.db")]) == 0
    one = capfd.readouterr().out
    assert main(["state-hash", "--state", str(tmp_path / "yaml.db")]) == 0
    assert capfd.readouterr().out == one
    assert files(tmp_path / "biz") == files(tmp_path / "yaml") != {}


def files(folder: Path) -> dict[str, str]:
    """What a run wrote; an effect's place in the spec is that of its form."""
    texts = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".written"
    }
    return {name: re.sub(r'"place": "[^"]*"', "", text) for name, text in texts.items()}


def test_the_schema_takes_what_is_written(bizrun: Path) -> None:
    import jsonschema_rs

    validator = jsonschema_rs.validator_for(schema())
    for path in SPECS:
        text = path.read_text(encoding="utf-8")
        written = write_yaml(text, parse(Source("a.biz", text)).file)
        root, _ = read_tree(Source("a.yaml", written))
        problems = [f"{path}: {e.message[:200]} at {list(e.instance_path)}"
                    for e in validator.iter_errors(back(root))]  # fmt: skip
        assert not problems
    assert not validator.is_valid({"on": [{"event": "A.b", "dou": []}]})
    assert not validator.is_valid({"handlers": {}})
    done = subprocess.run([bizrun, "schema"], capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout) == schema()
