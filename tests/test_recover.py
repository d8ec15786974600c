"""Mistakes of syntax: each is reported once, on its line, and nothing else is lost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bizrun.diagnostics import Source
from bizrun.lang import ast
from bizrun.lang.codes_syntax import CODES
from bizrun.lang.parse import Parsed, parse, parse_expression, read_source

from .growth import grows_straight

GOLDEN = Path(__file__).parent / "golden" / "check"
_MARK = re.compile(r"#((?:\s+[EW]\d{4})+)\s*$")


def read(text: str) -> Parsed:
    return parse(Source("a.biz", text))


def found(text: str) -> list[tuple[str, int]]:
    source = Source("a.biz", text)
    return [(d.code, source.position(d.span.start)[0]) for d in parse(source).diagnostics]


def fixed(text: str) -> str:
    """A text after its certain fixes."""
    fixes = [d.fix for d in read(text).diagnostics if d.fix and d.fix.certain]
    for fix in sorted(fixes, key=lambda fix: -fix.span.start):
        text = text[: fix.span.start] + fix.text + text[fix.span.end :]
    return text


# --- each mistake by itself -------------------------------------------------------------------

GOLDENS = sorted(GOLDEN.glob("e01*.biz"))


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_golden(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    marks = [(i, _MARK.search(line)) for i, line in enumerate(text.splitlines(), 1)]
    expected = [(code, i) for i, mark in marks if mark for code in mark[1].split()]
    assert [d for d in found(text) if d[0].startswith("E01")] == expected


def test_each_code_has_a_golden() -> None:
    said = {code for path in GOLDENS for code in re.findall(r"E01\d\d", path.read_text("utf-8"))}
    elsewhere = {"E0103", "E0150", "E0151"}
    assert set(CODES) - said == elsewhere, "bytes: see test_bytes; YAML: see test_yaml.py"


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_certain_fixes_mend(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    broken = [d for d in read(text).diagnostics if d.fix and d.fix.certain]
    left = {(d.code, d.message) for d in read(fixed(text)).diagnostics}
    assert not left & {(d.code, d.message) for d in broken}


# --- many at once ------------------------------------------------------------------------------

PLANTED = [
    ("  price 19 USD per month\n", "  price $19 per month\n"),
    ("  trial 14 days\n", "  trial = 14 days\n"),
    ("  includes 100 api_calls\n", "  includes 100 'api_calls'\n"),
    ("    up to 100: free\n", "    up too 100: free\n"),
    ("  limits { users: 10, storage: 5 GB }\n", "  limits { users 10, storage: 5 GB }\n"),
    ("  owner text\n", "  owner [text\n"),
    ("  plan plan?\n", "  plan plan? &&\n"),
    ("  let x = 1\n", "  let x = \n"),
    ("  if x == 1 {\n", "  if x = 1 {\n"),
    ('    log "{x}"\n', '    log "{x}\n'),
    ("  emit A.b { id: x }\n", "  emti A.b { id: x }\n"),
    ("  for each a in Acc where .x {\n", "  for a in Acc where .x {\n"),
    ("    update a { x: 1, y: 2 }\n", "    update a { x: 1 y: 2 }\n"),
    ("  email { to: x, body: y }\n", "  email { to x, body: y }\n"),
    ("  wait for A.b as r within 3 days\n", "  wait for A.b as r within 3 fortnights\n"),
    ("  return x\n", "  retrun x\n"),
    ("  delete x\n", "  delete x;\n"),
    ("  match x { 1 => { log x } }\n", "  match x { 1 -> { log x } }\n"),
    ("  expect Acc(1).x == 2\n", "  expect Acc(1.x == 2\n"),
    ("  advance 3 days\n", "  advance 3 dayss\n"),
]

BUSINESS = """\
plan p{0} "P" {{
  price 19 USD per month
  trial 14 days
  includes 100 api_calls
  usage api_calls graduated {{
    up to 100: free
    above: 0.01 USD
  }}
  limits {{ users: 10, storage: 5 GB }}
}}

entity Acc{0} {{
  owner text
  plan plan?
}}

on A.b{0} as e {{
  let x = 1
  if x == 1 {{
    log "{{x}}"
  }} else {{
    log "no"
  }}
  emit A.b {{ id: x }}
  for each a in Acc where .x {{
    update a {{ x: 1, y: 2 }}
  }}
  email {{ to: x, body: y }}
  wait for A.b as r within 3 days
  delete x
  match x {{ 1 => {{ log x }} }}
  return x
}}

test "t{0}" {{
  expect Acc(1).x == 2
  advance 3 days
}}

"""


def test_a_large_file_with_twenty_mistakes() -> None:
    blocks = [BUSINESS.format(i) for i in range(52)]
    for number, (right, wrong) in enumerate(PLANTED):
        assert right in blocks[2 * number]
        blocks[2 * number] = blocks[2 * number].replace(right, wrong)
    text = "".join(blocks)
    assert text.count("\n") >= 2000
    parse(Source("warm.biz", blocks[1]))
    reported = found(text)
    lines = text.splitlines(keepends=True)
    planted = [lines.index(wrong) + 1 for _, wrong in PLANTED]
    assert [line for _, line in reported if line in planted] == planted
    assert len(reported) <= 22, reported


def test_all_twenty_in_one_block() -> None:
    text = BUSINESS.format(1)
    for right, wrong in PLANTED:
        text = text.replace(right, wrong)
    lines = text.splitlines(keepends=True)
    planted = sorted(lines.index(wrong) + 1 for _, wrong in PLANTED)
    reported = sorted(line for _, line in found(text))
    assert set(planted) <= set(reported)
    assert len(reported) <= 22, reported


def test_names_survive_what_is_wrong_with_them() -> None:
    parsed = read(
        "enttiy A {\n  name text text\n  size number\n}\n"
        "on X.y as e {\n  let a = 1 +\n  let b = 2 2\n  if b ^ 1 {\n    log b\n  }\n}\n"
        "const c = 1 1\nfn f(x: number) -> number = x x\n"
    )
    entity, handler, const, fn = parsed.file.declarations
    assert isinstance(entity, ast.Entity)
    assert [field.name for field in entity.fields] == ["name", "size"]
    assert isinstance(entity.fields[0].type, ast.Bad)
    assert isinstance(handler, ast.On)
    names = [s.name for s in handler.body if isinstance(s, ast.Let)]
    assert names[-1] == "b"
    [branch] = [s for s in handler.body if isinstance(s, ast.If)]
    assert isinstance(branch.condition, ast.Bad)
    assert len(branch.then) == 1
    assert isinstance(const, ast.Const)
    assert (const.name, type(const.value)) == ("c", ast.Bad)
    assert isinstance(fn, ast.Fn)
    assert (fn.name, type(fn.value)) == ("f", ast.Bad)


def test_places_are_the_files_own_behind_a_repair() -> None:
    text = "# one\non A.b { let a = x && y || $29 }\nconst d = 1\n"
    handler, const = read(text).file.declarations
    assert isinstance(handler, ast.On)
    [let] = handler.body
    assert text[let.span.start : let.span.end].startswith("let a = x && y || $29")
    assert text[const.span.start : const.span.end] == "const d = 1"


def test_a_brace_in_a_template_is_text() -> None:
    [template] = read('template t { subject "50{ off", body "{{ a }} \\" }" }').file.declarations
    assert isinstance(template, ast.Template)
    assert [text for _, text, _ in template.parts] == ["50{ off", '{{ a }} " }']


# --- bytes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "text", "place"),
    [
        (b"const a = 1", "const a = 1", None),
        (b"\xef\xbb\xbfconst a = 1", "const a = 1", None),
        (b"", "", None),
        (b'const a = 1\nconst b = "\xff"', 'const a = 1\nconst b = "\ufffd"', (2, 12)),
        (b"\xef\xbb\xbfa\xff", "a\ufffd", (1, 2)),
        ("ä\n ö".encode("latin-1"), "\ufffd\n \ufffd", (1, 1)),
        (b"a\nb\0c", "a\nb\ufffdc", (2, 2)),
        (b"a\n\xed\xa0\x80", "a\n\ufffd\ufffd\ufffd", (2, 1)),
        (b"x" * 5_000_001, "", (1, 1)),
    ],
)
def test_bytes(data: bytes, text: str, place: tuple[int, int] | None) -> None:
    source, problems = read_source("a.biz", data)
    assert source.text == text
    if place is None:
        assert not problems
    else:
        [problem] = problems
        assert (problem.code, source.position(problem.span.start)) == ("E0103", place)
        parse(source)


# --- expressions ---------------------------------------------------------------------------------


def test_expressions() -> None:
    node, problems = parse_expression("a + 1")
    assert isinstance(node, ast.Binary)
    assert not problems
    for wrong in (
        "",
        "a +",
        "a b",
        "(",
        "'x'",
        "$1",
        "a = 1",
        "}",
        "x" * 10 + "\n\n)",
        "# a",
        '"{"',
    ):
        node, problems = parse_expression(wrong)
        assert node is None, wrong
        assert problems, wrong


# --- anything at all ----------------------------------------------------------------------

LANGUAGE = "\n".join(BUSINESS.format(i) for i in range(2)) + "\n".join(
    path.read_text("utf-8") for path in sorted(GOLDEN.glob("*.biz"))
)
SIGNS = ["{", "}", "(", ")", "[", "]", '"', '"""', "'", "\n", "\r", "#", "\\", "=", ".", "$", "/*"]
SIGNS += ["<<<<<<< ", "-> ", "not ", "if ", "else ", "1.", "\0", "é", "\u2028", "&&", ";", "//"]


@st.composite
def broken(draw: st.DrawFn) -> str:
    """A piece of real text with a few random cuts, copies and insertions."""
    start = draw(st.integers(0, len(LANGUAGE) - 400))
    text = LANGUAGE[start : start + draw(st.integers(0, 400))]
    for _ in range(draw(st.integers(1, 5))):
        a = draw(st.integers(0, len(text)))
        b = min(len(text), a + draw(st.integers(0, 20)))
        match draw(st.integers(0, 3)):
            case 0:
                text = text[:a] + text[b:]
            case 1:
                text = text[:a] + text[a:b] + text[a:]
            case 2:
                text = text[:b] + draw(st.sampled_from(SIGNS)) + text[b:]
            case _:
                text = text[b:] + text[:b]
    return text


@settings(max_examples=300, deadline=3000, derandomize=True)
@given(broken())
@example("st three = [1, 2, 3]\n\n\u2028")
def test_broken_text_is_always_read(text: str) -> None:
    parsed = read(text)
    assert all(0 <= d.span.start <= d.span.end <= len(text) for d in parsed.diagnostics)
    assert all(d.code in CODES for d in parsed.diagnostics)
    spans = [d.span for d in parsed.file.declarations]
    assert all(0 <= s.start <= s.end <= len(text) for s in spans)
    bad = [d for d in parsed.file.declarations if isinstance(d, ast.BadDeclaration)]
    assert not bad or parsed.diagnostics


@settings(max_examples=100, deadline=3000, derandomize=True)
@given(st.text(max_size=60))
def test_any_text_is_read(text: str) -> None:
    read(text)
    parse_expression(text)


ENDLESS = [
    "(",
    '"',
    "a.",
    "a[0]",
    "a ?? ",
    "not ",
    "-",
    "if a then b else ",
    "x if ",
    "[a,",
    '{"',
    ";",
    "'a'",
]


@pytest.mark.parametrize("piece", ENDLESS)
@pytest.mark.parametrize("head", ["", "const x = "])
def test_endless_text_ends(head: str, piece: str) -> None:
    def work(size: int) -> None:
        assert read(head + piece * (size // len(piece))).diagnostics

    assert grows_straight(work, 100_000)


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_line_ends_of_windows_change_nothing(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert found(text.replace("\n", "\r\n")) == found(text)
