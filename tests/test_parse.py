"""The grammar and the tree built from it: every construct, soft keywords, newlines, positions."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bizrun.diagnostics import Diagnostic
from bizrun.lang import ast
from bizrun.lang.build import (
    Context,
    build_declaration,
    build_expression,
    build_file,
    build_part,
    build_statements,
)
from bizrun.lang.build_context import bounds
from bizrun.lang.grammar import _tables, accepts_hint, grammar_text, parse_tree, parser
from bizrun.lang.lalr import read as read_quickly
from bizrun.lang.walk import walk
from bizrun.values import Duration, Money, Percent

from .conftest import ROOT
from .growth import grows_straight
from .trees import dump, short

GOLDEN = ROOT / "tests" / "golden" / "parse"
FILES = sorted(GOLDEN.rglob("*.biz"))
SPECS = [ROOT / "specs" / "saas.biz", *sorted((ROOT / "src" / "bizrun" / "std").glob("*.biz"))]


def expression(text: str) -> ast.Expr:
    context = Context("x.biz", text)
    node = build_expression(parse_tree(text, "expr"), context)
    assert not context.found
    return node


def declaration(text: str) -> Any:
    context = Context("x.biz", text)
    node = build_declaration(parse_tree(text), context)
    assert not context.found, context.found
    return node


def statement(text: str) -> Any:
    context = Context("x.biz", text)
    (node,) = build_statements(parse_tree(text, "statements"), context)
    assert not context.found
    return node


def complaints(text: str, start: str = "expr") -> list[Diagnostic]:
    context = Context("x.biz", text)
    build_part(parse_tree(text, start), context)
    return context.found


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


# --- Whole files -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_golden(path: Path, request: pytest.FixtureRequest) -> None:
    tree, found = build_file(read(path), path.name)
    assert not found
    got = json.dumps([dump(d) for d in tree.declarations], indent=1, ensure_ascii=False) + "\n"
    expected = path.with_suffix(".json")
    if request.config.getoption("--update", default=False):
        expected.write_text(got, encoding="utf-8")
    assert got == read(expected)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_specs_and_the_standard_library_parse(path: Path) -> None:
    tree, found = build_file(read(path), path.name)
    assert tree.declarations
    assert not found


@pytest.mark.parametrize("path", [*FILES, *SPECS], ids=lambda path: path.stem)
def test_layout_changes_nothing(path: Path) -> None:
    text = read(path)
    plain = shape(text)
    # Texts of several lines keep their own line ends; no comment may stand in them.
    assert shape(text.replace("\n", "\r\n")) == plain
    assert shape(text.rstrip("\n")) == plain
    if '"""' not in text:
        commented = re.sub(r"(?m)$", ' # and, or: { [ ( " where', text.rstrip("\n"))
        assert shape(commented) == plain


def shape(text: str) -> list[Any]:
    return [dump(d, spans=False) for d in build_file(text, "x.biz")[0].declarations]


@pytest.mark.parametrize("path", [*FILES, *SPECS], ids=lambda path: path.stem)
def test_spans_lie_within_their_parents(path: Path) -> None:
    text = read(path)
    for top in build_file(text, path.name)[0].declarations:
        for node in walk(top):
            assert top.span.start <= node.span.start <= node.span.end <= top.span.end
            piece = text[node.span.start : node.span.end]
            if isinstance(node, ast.Name) and not isinstance(node, ast.Bad):
                assert piece == node.name
            if isinstance(node, ast.Field):
                assert text[node.name_span.start : node.name_span.end] == node.name
            if isinstance(node, ast.Binary):
                between = text[node.op_span.start : node.op_span.end]
                assert " ".join(between.split()) == node.op


def branches(tree: Any) -> Any:
    """A tree of either parser as plain tuples, with its offsets."""
    if not hasattr(tree, "data"):
        return (str(tree), tree.type, tree.start_pos, tree.end_pos)
    return (str(tree.data), *bounds(tree), [branches(child) for child in tree.children])


@pytest.mark.parametrize("path", [*FILES, *SPECS], ids=lambda path: path.stem)
def test_both_parsers_agree(path: Path) -> None:
    for chunk in re.split(r"(?m)^(?=[a-z])", read(path))[1:]:
        quick = read_quickly(_tables(), chunk, "declaration")
        assert branches(quick) == branches(parser().parse(chunk, start="declaration"))
        # Wrong text is wrong to both, or right to lark alone, which is asked then.
        pieces = re.findall(r"\w+|\s+|.", chunk)[:120]
        for place in range(1, len(pieces), 3):
            broken = "".join(pieces[:place] + pieces[place + 1 :])
            tree = read_quickly(_tables(), broken, "declaration")
            if tree is not None:
                assert branches(tree) == branches(parser().parse(broken, start="declaration"))


# --- Precedence ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + b * c - d", "((a + (b * c)) - d)"),
        ("-a * b", "((- a) * b)"),
        ("-a.b", "(- a.b)"),
        ("80% of a * b", "((80.00% of a) * b)".replace("80.00%", "80%")),
        ("50% of 50% of a", "(50% of (50% of a))"),
        ("a ?? b + c", "(a ?? (b + c))"),
        ("a ?? b ?? c", "((a ?? b) ?? c)"),
        ("a == b ?? c", "(a == (b ?? c))"),
        ("a in b..c + d", "(a in (b .. (c + d)))"),
        ("a not in b and not c or d", "(((a not in b) and (not c)) or d)"),
        ("not a == b", "(not (a == b))"),
        ("a or b and c", "(a or (b and c))"),
        ("a drops below b + c", "(a drops below (b + c))"),
        ("a reaches 80% of limit(a, b)", "(a reaches (80% of limit(a, b)))"),
        ("(a + b) * c", "((a + b) * c)"),
        ("a - -b", "(a - (- b))"),
        ("1..10", "(1 .. 10)"),
        ("A where .x == 1 limit 2", "[A where (.x == 1) limit 2]"),
        ("first A where .x ?? y", "first[[A where (.x ?? y)]]"),
        ("a ?? first A where .x", "(a ?? first[[A where .x]])"),
        ("first A", "first[A]"),
        ("first(a)", "first(a)"),
        ("first.a + first", "(first.a + first)"),
        ("if a then b else if c then d else e", "(if a then b else (if c then d else e))"),
        ("if a then b else first A", "(if a then b else first[A])"),
        ("a?.b.c", "a?.b.c"),
        ("x in A where .y", "[(x in A) where .y]"),
        ("start of month - 1 month", "(Boundary - 1 month)"),
    ],
)
def test_precedence(text: str, expected: str) -> None:
    assert short(expression(text)) == expected


def test_brackets_belong_to_the_span_of_what_is_around_them() -> None:
    node = expression("(a + b) * (c)")
    assert (node.span.start, node.span.end) == (0, 13)
    assert isinstance(node, ast.Binary)
    assert (node.left.span.start, node.left.span.end) == (1, 6)


@pytest.mark.parametrize("text", ["a < b < c", "a == b == c", "a < b == c", "1..2..3"])
def test_what_does_not_chain(text: str) -> None:
    assert [found.code for found in complaints(text)] == ["E0120"]


# --- Constants and texts -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "type_", "value"),
    [
        ("10_000", "number", 10_000),
        ("0.008", "number", Decimal("0.008")),
        ("29 USD", "money", Money("29", "USD")),
        ("0.0005 USD", "money", Money("0.0005", "USD")),
        ("15%", "percent", Percent.of(15)),
        ("14 days", "duration", Duration.of(14, "days")),
        ("0.5 hours", "duration", Duration.of(30, "minutes")),
        ("512 MB", "size", 512 << 20),
        ("true", "bool", True),
        ("none", "none", None),
    ],
)
def test_literals(text: str, type_: str, value: Any) -> None:
    node = expression(text)
    assert isinstance(node, ast.Literal)
    assert (node.type, node.value) == (type_, value)
    assert (node.span.start, node.span.end) == (0, len(text))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2026-13-45", "E0112"),
        ("2026-01-31T25:00:00Z", "E0112"),
        ("2026-01-31T09:00:00", "E0112"),
        ("25:00", "E0112"),
        ("29 XYZ", "E0111"),
        ("1.5 months", "E0113"),
        ("end of hour", "E0113"),
        ("1" * 35, "E0110"),
        ("0.3 B", "E0110"),
        (r'"a \q"', "E0114"),
        ('"a {b"', "E0115"),
        ('"a {b c} d"', "E0115"),
        ('"{}"', "E0115"),
        ('"{29 XYZ}"', "E0111"),
    ],
)
def test_values_that_do_not_exist(text: str, code: str) -> None:
    assert [found.code for found in complaints(text)] == [code]


def text_of(source: str) -> ast.Text:
    node = expression(source)
    assert isinstance(node, ast.Text)
    return node


def test_escapes_and_braces() -> None:
    assert text_of(r'"\"a\" \\ \n\t\{b\}"').plain == '"a" \\ \n\t{b}'
    assert text_of('""').plain == ""
    assert text_of('"# no comment"').plain == "# no comment"


def test_interpolations_hold_texts_maps_and_formats() -> None:
    source = '"{f("}", { a: "\\{" })}-{seq:05}-{at:%H:%M}-{a.b}"'
    parts = [part for part in text_of(source).parts if isinstance(part, ast.Interpolation)]
    assert [part.format for part in parts] == [None, "05", "%H:%M", None]
    for part in parts:
        assert source[part.span.start] == "{"
        inner = source[part.value.span.start : part.value.span.end]
        assert source[part.span.start + 1 : part.span.end].startswith(inner)
    names = [node.name for part in parts for node in walk(part) if isinstance(node, ast.Name)]
    assert names == ["f", "seq", "at", "a"]


def test_interpolations_have_their_place_in_the_file() -> None:
    text = '# one\nconst a = "x {y + 29 XYZ}"\n'
    _, found = build_file(text, "x.biz")
    assert text[found[0].span.start : found[0].span.end] == "29 XYZ"


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_texts_of_several_lines_lose_their_common_indent(newline: str) -> None:
    source = newline.join(['"""', "    First", "      second {name}", "", "    third", '    """'])
    assert [p if isinstance(p, str) else "*" for p in text_of(source).parts] == [
        "First\n  second ",
        "*",
        "\n\nthird\n",
    ]
    assert text_of('"""one line"""').plain == "one line"
    assert text_of('"""a "quoted" word"""').plain == 'a "quoted" word'


def test_templates_stay_as_they_are() -> None:
    node = declaration(
        'template t { subject "Hi {{ a["b"] }} \\"x\\"", body """\n  {% if a %}\\n{{ b }}\n  """ }'
    )
    assert [part[:2] for part in node.parts] == [
        ("subject", 'Hi {{ a["b"] }} "x"'),
        ("body", "{% if a %}\\n{{ b }}\n"),
    ]


# --- Soft keywords -------------------------------------------------------------------------------

HARD = {"if", "not", "match", "for", "create", "true", "false", "none", "unlimited"}
CONTINUING = {"and", "or", "where", "else"}
WORDS = sorted(set(re.findall(r'"([a-z]+)"', grammar_text())) | {"key", "order", "day", "text"})


@pytest.mark.parametrize("word", WORDS)
def test_soft_keywords_name_anything(word: str) -> None:
    texts = [f"emit Noun.{word} {{ {word}: 1, b: x.{word} }}", f"log a.{word}.{word}"]
    heads = [f"plan {word} {{ price 1 USD per month }}", f"meter {word} {{ count A.b per c }}"]
    heads += [f"on A.{word}({word}, b) {{ log a }}", f"event A.{word} {{ b text, c text }}"]
    heads += [f"plan p {{ includes 5 {word}, usage {word}: 1 USD }}"]
    if word not in CONTINUING:
        heads.append(f"event A.b {{\n {word} text\n a {word}?, b text }}")
        texts.append(f"log {{ a: 1\n {word}: 2\n {word}\n b: 3 }}")
        if word != "index":
            heads.append(f"entity A {{\n {word} text\n a {word} = 3\n b text }}")
    for text in heads:
        declaration(text)
    for text in texts:
        statement(text)
    values = statement(texts[-1]).message.entries if word not in CONTINUING else ()
    assert [entry.name for entry in values] == (["a", word, word, "b"] if values else [])


@pytest.mark.parametrize("word", sorted(set(WORDS) - HARD))
def test_soft_keywords_are_variables(word: str) -> None:
    assert short(expression(f"{word} + {word}.a * f({word}, b)")) == (
        f"({word} + ({word}.a * f({word}, b)))"
    )
    assert short(expression(f"b == {word}")) == f"(b == {word})"
    assert statement(f"let {word} = {word}").name == word
    assert statement(f"return {word}").value.name == word
    assert statement(f"for each {word} in {word} {{ log {word} }}").variable == word
    assert statement(f"let a = A where .{word} == {word}").value.where is not None


# --- Where a line ends ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "a\n  .b\n  .c",
        "a\n  and b\n  or c",
        "a +\n b",
        "a and\n b",
        "A\n where .b\n order by .c\n limit 3".replace("\n limit", " limit"),
        "if a then b\n else c",
        "f(\n a\n , b\n)",
        "[\n a,\n b,\n]",
        "{ a: 1\n\n # b\n c: 2\n}",
        "{\n a:\n 1,\n in\n}",
        "a in\n b",
        "a # and\n  # or\n  .b",
        "match a { 1 => 2\n 3, 4 => 5\n else => 6 }",
        "match a {\n 1 => 2,\n else => 6,\n}",
    ],
)
def test_a_line_goes_on(text: str) -> None:
    expression(text)
    expression(text.replace("\n", "\r\n"))
    expression(text.replace("\n", " # c\n"))


def test_statements_end_with_their_line() -> None:
    text = "let a = b\n\n# Ten or more\nlog c\nlog d.in\nreturn\n"
    found = build_statements(parse_tree(text, "statements"), Context("x", text))
    assert [type(node).__name__ for node in found] == ["Let", "Log", "Log", "Return"]


# --- What needed a decision ---------------------------------------------------------------------


def test_expect_tells_effects_from_values() -> None:
    assert statement("expect email").kind == "email"
    assert statement('expect email { to: "x" }').data is not None
    assert statement("expect no refund").count == 0
    assert statement('expect 2 infra.post "/x" { a: 1 }').target.plain == "/x"
    assert statement('expect infra.post "/x"').kind == "infra.post"
    assert statement("expect 1 event A.b { c: 1 }").event == "A.b"
    assert statement("expect no event A.b").event == "A.b"
    assert statement("expect reply { used: 3 }").kind == "reply"
    assert isinstance(statement("expect reply.used == 3"), ast.ExpectTrue)
    assert isinstance(statement("expect 3 == x"), ast.ExpectTrue)
    assert isinstance(statement("expect not x"), ast.ExpectTrue)
    assert statement("expect rejected").message is None
    assert statement('expect rejected "x"').message.plain == "x"


def test_at_alone_sets_the_clock() -> None:
    assert isinstance(statement("at 2026-01-31T09:00:00Z"), ast.SetClock)
    assert isinstance(statement("at x + 1 day { log a }"), ast.At)


def test_an_index_goes_on_behind_a_comma() -> None:
    node = declaration("entity A { a text, b time?\n index a, b\n index b, c text }")
    assert [[name for name, _ in index.fields] for index in node.indexes] == [["a", "b"], ["b"]]
    assert [field.name for field in node.fields] == ["a", "b", "c"]
    context = Context("x", "entity A {\n index a\n b\n}")
    build_declaration(parse_tree(context.text), context)
    assert context.found[0].message == "The field `b` has no type."


def test_fields_have_docs() -> None:
    node = declaration("entity A {\n  ## The id.\n  ## Of it.\n  id text key\n  # no\n  b text\n}")
    assert [field.doc for field in node.fields] == ["The id.\nOf it.", None]


def test_an_else_if_chain_is_nested() -> None:
    text = "if a { log 1 } else if b { log 2 } else { log 3 }"
    node = statement(text)
    (inner,) = node.otherwise
    assert text[inner.span.start : inner.span.end].startswith("b { log 2 }")
    assert inner.otherwise


def test_settings_keep_their_words() -> None:
    node = declaration(
        "business { proration by second, grace 12 hours\n collect by_invoice, due after 30 days }"
    )
    assert [(s.key, s.words, s.value is not None) for s in node.settings] == [
        ("proration", ("by", "second"), False),
        ("grace", ("12", "hours"), True),
        ("collect", ("by_invoice",), True),
        ("due", ("after", "30", "days"), False),
    ]


def test_dunning_goes_on_behind_a_comma() -> None:
    node = declaration(
        "dunning d { retry after 3 days, 7 days, 14 days, then suspend\n cancel after 7 days more }"
    )
    assert [(step.kind, len(step.delays), step.action) for step in node.steps] == [
        ("retry_after", 3, None),
        ("then", 0, "suspend"),
        ("grace", 1, "cancel"),
    ]
    node = declaration("dunning d { retry every 8 days, 8 times }")
    assert (node.steps[0].kind, node.steps[0].times) == ("retry_every", 8)


@pytest.mark.parametrize(
    ("start", "text", "kind"),
    [
        ("price", "99 USD per seat per 6 months in arrears", ast.Price),
        ("rate", "0.005 USD + 10 USD flat", ast.Rate),
        ("event", "A.b or C.d as e where e.x == 1", ast.EventPattern),
        ("type", '"a" | "b"', ast.TypeUnion),
        ("pricing", "graduated { up to 10: free, above: 1 USD }", ast.Pricing),
        ("schedule", 'every_day at 09:00 in "Europe/Berlin"'.replace("every_", ""), ast.Every),
        ("items", "price 99 USD per month\ntrial 14 days", tuple),
    ],
)
def test_starts_for_yaml(start: str, text: str, kind: type) -> None:
    context = Context("x", text)
    assert isinstance(build_part(parse_tree(text, start), context), kind)
    assert not context.found


# --- Bounds --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "(1 + " * 3000 + "1" + ")" * 3000,
        "[" * 3000 + "]" * 3000,
        "f(" * 3000 + ")" * 3000,
        "a" + ".b" * 3000,
        "a" + " + a" * 3000,
        "not " * 3000 + "a",
        "-" * 3000 + "a",
        "if a then b else " * 3000 + "c",
        "{ a: " * 3000 + "1" + " }" * 3000,
        "a ?? first A where " * 1000 + "b",
    ],
)
def test_deep_nesting_is_reported(text: str) -> None:
    assert "E0109" in [found.code for found in complaints(text)]


def test_a_hundred_levels_are_fine() -> None:
    for text in ("(" * 3000 + "a" + ")" * 3000, "(1 + " * 100 + "a" + ")" * 100):
        expression(text)
    for text in ("[" * 100 + "]" * 100, "f(" * 100 + ")" * 100, "{ a: " * 100 + "1" + " }" * 100):
        expression(text)
    statement("if a { " * 100 + "log 1" + " }" * 100)


def test_deep_statements_are_reported() -> None:
    many = "if a { log 1 } " + "else if b { log 2 } " * 1000
    deep = "if a { " * 1000 + "log 1" + " }" * 1000
    for text in (many, deep):
        assert [found.code for found in complaints(text, "statements")] == ["E0109"]


def test_a_new_line_separates_a_list_as_a_comma_does() -> None:
    def items(text: str) -> list[str]:
        node = expression(text)
        assert isinstance(node, ast.ListLiteral)
        return [short(item) for item in node.items]

    assert items("[\n  1\n  2 +\n  3,\n\n  # four\n  4\n]") == ["1", "(2 + 3)", "4"]
    assert items("[a\n  .b, f(\n1\n,\n2)\n]") == ["a.b", "f(1, 2)"]
    assert len(items("[\n{ x: 1 }\n{ x: 2 }\n]")) == 2
    assert isinstance(expression("[for a in b:\n a.c\n]"), ast.Comprehension)
    assert isinstance(expression("a[\n0\n]"), ast.Index)


def test_unclosed_texts_take_no_time() -> None:
    from lark.exceptions import UnexpectedInput

    def read(size: int) -> None:
        texts = ('"' + "{a}" * size, '"' + "{" * size, '"{' + '"a' * size, '"""' + "{" * size)
        for text in texts:
            with pytest.raises(UnexpectedInput):
                parse_tree(text, "expr")

    assert grows_straight(read, 4000)


def test_hints_name_what_is_expected() -> None:
    from lark.exceptions import UnexpectedInput

    with pytest.raises(UnexpectedInput) as caught:
        parse_tree("plan pro { price 99 USD per }")
    assert "a name" in accepts_hint(caught.value)
    with pytest.raises(UnexpectedInput) as caught:
        parse_tree("coupon A { 10% of }")
    assert parser().terminals


def test_tables_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    try:
        forget()
        parse_tree("1 + 2", "expr")
        kept = sorted((tmp_path / "bizrun").iterdir(), key=lambda path: path.suffix)
        assert [path.suffix for path in kept] == [".lark", ".tables"]
        forget()
        assert short(expression("1 + 2 * (a.b)")) == "(1 + (2 * a.b))"
        kept[1].write_bytes(b"damaged" * 100)
        forget()
        assert short(expression("1 + 2")) == "(1 + 2)"
        kept[0].write_bytes(b"")
        kept[1].chmod(0o666)
        forget()
        assert short(expression("1 + 2")) == "(1 + 2)"
    finally:
        forget()


def forget() -> None:
    _tables.cache_clear()
    parser.cache_clear()
