"""From a template and data to a message: its subject, its text and its HTML."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import cache, lru_cache
from html import escape
from typing import TYPE_CHECKING, Any

from ..errors import BizError
from .letter import framed, signed

if TYPE_CHECKING:
    from .sandbox import Sheet

MAX_SUBJECT = 500

_CELL = "padding:8px 12px 8px 0;border-bottom:1px solid #e6e8eb;text-align:left;vertical-align:top"
_FIGURE = {"text-align:right": ";padding:8px 0 8px 12px"}  # ends where the line below it does
_HEAD = "color:#16191d;line-height:1.3;margin:28px 0 12px"
STYLES = {
    "p": "margin:0 0 16px",
    "h1": f"font-size:22px;{_HEAD}",
    "h2": f"font-size:18px;{_HEAD}",
    "h3": f"font-size:16px;{_HEAD}",
    "a": "color:#1a56c4",
    "ul": "margin:0 0 16px;padding-left:22px",
    "ol": "margin:0 0 16px;padding-left:22px",
    "li": "margin:0 0 6px",
    "table": "border-collapse:collapse;width:100%;margin:0 0 16px",
    "th": f"{_CELL};font-weight:600",
    "td": _CELL,
    "blockquote": "margin:0 0 16px;padding-left:14px;border-left:3px solid #d5d9de;color:#555d66",
    "code": "font-family:ui-monospace,Menlo,Consolas,monospace;font-size:14px;background:#f2f3f5;"
    "padding:1px 4px;border-radius:3px",
    "hr": "border:0;border-top:1px solid #e6e8eb;margin:24px 0",
    "img": "max-width:100%",
}


class TemplateError(BizError):
    """A template can't be filled with the data it was given; the sentence says where and why."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message: one line of subject, its text, and a whole HTML page."""

    subject: str
    text: str
    html: str


def render(
    name: str,
    parts: Mapping[str, str],
    data: Mapping[str, Any],
    business: Mapping[str, Any],
    zone: tzinfo | None = None,
    subject: str | None = None,
) -> Rendered:
    """A template's parts (`subject`, `body`) filled with data; TemplateError where that fails.
    A `subject` that is given stands instead of the template's own.

    Templates see the data and `business`; values print as they do inside a text. A part `style`
    is CSS, which is written into each element: mail programs leave out style sheets.
    """
    from .sandbox import Sheet

    known = {"business": business, **data}
    sheet = Sheet(zone, business.get("locale"))
    if subject is None:
        subject = _subject(name, parts, known, sheet)
    marked = _body(name, parts, known, sheet)
    style = parts.get("style")
    text, html = _forms(marked, style is None)
    page = framed(subject, _put_html(html, sheet.values), business)
    if style is not None:
        page = _inlined(name, page, style)
    return Rendered(subject, signed(_put(text, sheet.values), business), page)


def subject(
    name: str,
    parts: Mapping[str, str],
    data: Mapping[str, Any],
    business: Mapping[str, Any],
    zone: tzinfo | None = None,
) -> str:
    """The subject of `render` alone."""
    from .sandbox import Sheet

    sheet = Sheet(zone, business.get("locale"))
    return _subject(name, parts, {"business": business, **data}, sheet)


def tokens(
    name: str,
    parts: Mapping[str, str],
    data: Mapping[str, Any],
    business: Mapping[str, Any],
    zone: tzinfo | None = None,
) -> tuple[Sequence[Any], Callable[[str], str]]:
    """The tokens of a template's Markdown, and how their texts read with the values put in."""
    from .sandbox import Sheet

    sheet = Sheet(zone, business.get("locale"))
    marked = _body(name, parts, {"business": business, **data}, sheet)
    return _markdown().parse(marked), lambda text: _put(_split(text), sheet.values)


def _body(name: str, parts: Mapping[str, str], known: Mapping[str, Any], sheet: Sheet) -> str:
    from .sandbox import fill

    try:
        return fill(parts.get("body", ""), known, sheet)
    except MemoryError:
        raise
    except Exception as error:
        raise TemplateError(_sentence(name, "body", error)) from None


def _subject(name: str, parts: Mapping[str, str], known: Mapping[str, Any], sheet: Sheet) -> str:
    from .sandbox import fill

    try:
        head = fill(parts.get("subject", ""), known, sheet)
    except MemoryError:
        raise
    except Exception as error:
        raise TemplateError(_sentence(name, "subject", error)) from None
    return _one_line(_put(_split(head), sheet.values)) or name


def plain(subject: str, body: str, business: Mapping[str, Any]) -> Rendered:
    """A message of a subject and a text that are not a template: nothing in them is Markdown."""
    from .sandbox import clean

    subject, body = _one_line(clean(subject)), clean(body).strip()
    blocks = [escape(block).replace("\n", "<br>\n") for block in re.split(r"\n\s*\n", body)]
    page = "".join(f'<p style="{STYLES["p"]}">{block}</p>\n' for block in blocks)
    return Rendered(subject, signed(body + "\n", business), framed(subject, page, business))


def _inlined(name: str, page: str, style: str) -> str:
    """A page with the usual rules and an author's, which come after them, on its elements."""
    try:
        import css_inline
    except ImportError:
        raise TemplateError(
            f"the style of the template `{name}` needs the `email` extra: pip install "
            "'bizrun[email]'"
        ) from None
    rules = "".join(f"{tag}{{{rule}}}\n" for tag, rule in STYLES.items())
    inliner = css_inline.CSSInliner(load_remote_stylesheets=False, extra_css=rules + style)
    try:
        return str(inliner.inline(page))
    except (css_inline.InlineError, ValueError) as error:
        raise TemplateError(f"the style of the template `{name}` can't be read: {error}") from None


def _one_line(text: str) -> str:
    return " ".join(text.split())[:MAX_SUBJECT]


def _sentence(name: str, part: str, error: Exception) -> str:
    line = _line(error)
    reason = str(error).rstrip(".") or type(error).__name__
    if isinstance(error, RecursionError):
        reason = "it goes too deep"
    where = f"the {part} of the template `{name}`"
    return f"{where}{f', line {line},' if line else ''} can't be filled: {reason}"


def _line(error: Exception) -> int | None:
    """The line of the template in which an error came up."""
    line = getattr(error, "lineno", None)
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


# --- marks -------------------------------------------------------------------------------------

# A piece is text, the number of a value, or a link's address made of pieces.
Piece = str | int | tuple[str | int, ...]
_MARK = re.compile("\ue000(\\d+)\ue001")
_LINK = re.compile("\ue002(\\d+)\ue003")


def _split(text: str) -> list[str | int]:
    return [int(part) if n % 2 else part for n, part in enumerate(_MARK.split(text))]


def _put(pieces: Sequence[str | int], values: Sequence[str]) -> str:
    return "".join([p if isinstance(p, str) else values[p] for p in pieces])


def _put_html(pieces: Sequence[Piece], values: Sequence[str]) -> str:
    return "".join(
        [
            piece
            if isinstance(piece, str)
            else escape(values[piece]).replace("\n", "<br>\n")
            if isinstance(piece, int)
            else escape(_address(_put(piece, values)))
            for piece in pieces
        ]
    )


def _address(url: str) -> str:
    """A link's address, encoded; `#` for what is no address that a reader should follow."""
    from markdown_it.common.normalize_url import normalizeLink

    url = url.strip()
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", url)
    if scheme and scheme[0].lower() not in ("http:", "https:", "mailto:", "tel:"):
        return "#"
    try:
        return normalizeLink(url)
    except ValueError:
        return "#"


# --- Markdown ----------------------------------------------------------------------------------


@cache
def _markdown() -> Any:
    from markdown_it import MarkdownIt

    class Marked(MarkdownIt):
        """Leaves addresses as they are: they are judged when their values are known."""

        def normalizeLink(self, url: str) -> str:  # noqa: N802
            return url

        def validateLink(self, url: str) -> bool:  # noqa: N802
            return True

    return Marked("commonmark", {"html": False}).enable(["table", "strikethrough"])


@lru_cache(maxsize=256)
def _forms(marked: str, dressed: bool) -> tuple[list[str | int], list[Piece]]:
    """The text and HTML of a Markdown with marks: the same for all messages of one shape."""
    reader = _markdown()
    tokens = reader.parse(marked)
    text = _split(_text(tokens))
    links: list[tuple[str | int, ...]] = []
    for token in tokens:
        _dress(token, links, dressed)
    html = reader.renderer.render(tokens, reader.options, {})
    pieces: list[Piece] = []
    for number, part in enumerate(_LINK.split(html)):
        pieces += [links[int(part)]] if number % 2 else _split(part)
    return text, pieces


def _dress(token: Any, links: list[tuple[str | int, ...]], dressed: bool) -> None:
    """Gives a token its style, and takes its address out to be judged later."""
    style = STYLES.get(token.tag) if dressed else None
    if style and token.nesting >= 0 and token.type not in ("fence", "code_block"):
        before = token.attrGet("style")  # of a cell, to which side its column goes
        token.attrSet("style", f"{style};{before}{_FIGURE.get(before, '')}" if before else style)
    for name in ("href", "src"):
        address = token.attrGet(name)
        if address is not None:
            links.append(tuple(_split(str(address))))
            token.attrSet(name, f"\ue002{len(links) - 1}\ue003")
    for child in token.children or ():
        _dress(child, links, dressed)


# --- Markdown as text ----------------------------------------------------------------------------


def _text(tokens: Sequence[Any]) -> str:
    """What a Markdown says without its signs: paragraphs, lists with marks, tables by the row."""
    page = _Page()
    for token in tokens:
        page.take(token)
    return "\n".join(page.lines).strip("\n") + "\n"


class Lists:
    """The lists of a Markdown that are open, each with the number of its next item."""

    def __init__(self) -> None:
        self._next: list[int | None] = []

    def __len__(self) -> int:
        return len(self._next)

    def take(self, token: Any) -> bool:
        """Opens or closes a list; whether the token does."""
        match token.type:
            case "bullet_list_open":
                self._next.append(None)
            case "ordered_list_open":
                self._next.append(int(token.attrGet("start") or 1))
            case "bullet_list_close" | "ordered_list_close":
                self._next.pop()
            case _:
                return False
        return True

    def mark(self, bullet: str) -> str:
        """What the next item begins with: its number, or the bullet."""
        number = self._next[-1]
        if number is None:
            return bullet
        self._next[-1] = number + 1
        return f"{number}."


class _Page:
    """Lines of text so far, and the lists, quotes and table row that are open."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.marks: list[str] = []
        self.lists = Lists()
        self.cells: list[str] | None = None
        self.close = False  # the next block follows without an empty line

    def take(self, token: Any) -> None:
        """Adds what a token stands for."""
        if self.lists.take(token):
            self.close = self.close and bool(self.lists)
            return
        match token.type:
            case "list_item_open":
                self.marks.append(f"{self.lists.mark('-')} ")
            case "list_item_close" | "blockquote_close":
                self.marks.pop()
            case "blockquote_open":
                self.marks.append("> ")
            case "paragraph_open":
                self.close = self.close and token.hidden
            case "paragraph_close":
                self.close = token.hidden
            case "tr_open":
                self.cells = []
            case "tr_close":
                self._row()
            case "table_close":
                self.close = False
            case "inline" if self.cells is not None:
                self.cells.append(_inline(token))
            case "inline":
                self._add(_inline(token))
            case "fence" | "code_block":
                self._add("\n".join(f"    {x}" for x in token.content.rstrip().split("\n")))
            case "hr":
                self._add("---")

    def _row(self) -> None:
        cells = self.cells or []
        self.cells = None
        if any(cells):
            self._add((": " if len(cells) == 2 else " | ").join(cells))
            self.close = True

    def _add(self, text: str) -> None:
        """Adds a block behind the marks around it; an item's mark stands on its first line."""
        if self.lines and not self.close:
            self.lines.append("")
        first = "".join(self.marks)
        self.marks = [mark if mark == "> " else " " * len(mark) for mark in self.marks]
        rest = "".join(self.marks)
        for number, line in enumerate(text.split("\n")):
            self.lines.append((rest if number else first) + line)
        self.close = False


def _inline(token: Any) -> str:
    pieces: list[str] = []
    links: list[tuple[str, int]] = []
    for child in token.children or ():
        match child.type:
            case "softbreak" | "hardbreak":
                pieces.append("\n")
            case "link_open":
                links.append((str(child.attrGet("href") or ""), len(pieces)))
            case "link_close":
                address, start = links.pop()
                if address.removeprefix("mailto:") != "".join(pieces[start:]):
                    pieces.append(f" ({address})")
            case _:
                pieces.append(child.content)
    return "".join(pieces)
