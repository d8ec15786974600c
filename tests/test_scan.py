"""A file's text is cut into its declarations, whatever is wrong inside them."""

from __future__ import annotations

import pytest

from bizrun.lang.scan import Scan, scan, text_end

from .growth import grows_straight


def words(scanned: Scan) -> list[str | None]:
    return [chunk.keyword for chunk in scanned.chunks]


def test_each_declaration_is_a_chunk() -> None:
    text = 'use "./a.biz"\n\nentity A {\n  plan plan?\n}\nconst x =\n  1\nfn f() -> number\n  = 2\n'
    scanned = scan(text)
    assert words(scanned) == ["use", "entity", "const", "fn"]
    assert [text[c.start : c.end] for c in scanned.chunks] == [
        'use "./a.biz"',
        "entity A {\n  plan plan?\n}",
        "const x =\n  1",
        "fn f() -> number\n  = 2",
    ]


def test_a_line_may_go_on() -> None:
    text = (
        "trigger A.b for A when .x\n  and .y\nor .z\nmetric m = count(A\n  where .x)\n  every day\n"
    )
    assert words(scan(text)) == ["trigger", "metric"]


def test_doc_comments_belong_to_what_follows() -> None:
    text = (
        "# no doc\n## One\n##   two\nplan a {}\n## lost\n\nplan b {} # plain\n## own\nplan c {}\n"
    )
    assert [chunk.doc for chunk in scan(text).chunks] == ["One\n  two", None, "own"]


def test_comments_know_their_line() -> None:
    comments = scan('# one\r\nplan a { x "# none" } # two\r\n').comments
    assert [(c.text, c.own_line) for c in comments] == [("# one", True), ("# two", False)]


def test_an_open_brace_ends_at_the_next_declaration() -> None:
    text = 'on A.b {\n  if x {\nplan pro "P" {\n}\nlog "x"\n'
    assert words(scan(text)) == ["on", "plan", None]


def test_fields_named_like_declarations_are_fields() -> None:
    text = "entity A {\nplan plan?\ntype text\nevent text\nevery number\nuse text\n}\n"
    assert words(scan(text)) == ["entity"]


def test_odd_text_is_a_chunk_of_its_own() -> None:
    text = "plan a {}\n  log 1\nhello\nworld\nplan b {}\nplna c {\n}\n"
    assert words(scan(text)) == ["plan", None, "plan", None]


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ('"a" b', 3),
        ('"" b', 2),
        (r'"a\"b" c', 6),
        ('"{lower("a")}" b', 14),
        ('"{x ?? "{y}"}" b', 14),
        (r'"\{" b', 4),
        ('"a', None),
        ('"a\n"', None),
        ('"{"a', None),
    ],
)
def test_where_a_text_ends(text: str, end: int | None) -> None:
    assert text_end(text, 0, len(text)) == end


def test_long_texts_hide_what_they_hold() -> None:
    text = 'template t { body """\nplan pro {\n# no comment\n"""\n}\nplan b {}'
    scanned = scan(text)
    assert words(scanned) == ["template", "plan"]
    assert not scanned.comments


def test_a_long_text_without_end_ends_at_the_next_declaration() -> None:
    text = 'template t { body """\nhi\n}\nplan b {}\ntemplate u { body """ x """ }\n'
    scanned = scan(text)
    assert words(scanned) == ["template", "plan", "template"]
    assert [odd.kind for odd in scanned.chunks[0].odd] == ["text3"]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("const a = 'x'", ["'x'"]),
        ("const a = $29", ["$29"]),
        ("const a = 1.5.2 + 1.5", ["1.5.2"]),
        ("const a = [1..2, 3%, b != c]", []),
        ("const a = b && !c || d === e;", ["&&", "!", "||", "===", ";"]),
        ("const a = 1 // one 'x", ["// one 'x"]),
        ("const a /* one\n two */ = 1", ["/* one\n two */"]),
        ("const a = “x”", ["“x”"]),
        ("plan a { price 29 USD/month }", ["/month"]),
        ("const a = \"$ && // 'x';\"", []),
    ],
)
def test_odd_things(text: str, kinds: list[str]) -> None:
    scanned = scan(text)
    odd = [odd for chunk in scanned.chunks for odd in chunk.odd] + scanned.odd
    assert [text[o.start : o.end] for o in odd] == kinds


ENDLESS = ["(", '"', "a.", '"{', '{"', '""" ', "x\n", "plan a {\n", "## a\n", '"))', "'", "/*", ";"]
ENDLESS += [
    " ",
    '"a\n',
    '"""a\nplan b {\n',
    "<<<<<<< a\n",
    "\r",
    "\\",
    "$1",
    "// ' \n",
    "=======\n",
]


@pytest.mark.parametrize("piece", ENDLESS)
def test_time_grows_with_the_text_alone(piece: str) -> None:
    assert grows_straight(lambda size: scan(piece * (size // len(piece))), 300_000)
