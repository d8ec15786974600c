"""What building a tree needs to know, and the few helpers that every part of it shares."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

from ..diagnostics import Diagnostic, Fix, Span, did_you_mean

if TYPE_CHECKING:
    from lark import Token, Tree

# Values in one another, a block counting double: 100 open brackets fit, and the recursion of this
# package and of the stages behind it stays within python's.
MAX_NESTING = 210


@dataclass(slots=True)
class Context:
    """Where the parsed text stands, its doc comment, and what was found wrong with its values.

    `text` is the text that was parsed; its first character stands at `offset` of the file. Where
    it was changed before it was parsed, `place` maps a stretch of it to the file instead.
    """

    file: str
    text: str
    offset: int = 0
    doc: str | None = None
    found: list[Diagnostic] = field(default_factory=list)
    place: Callable[[int, int], Span] | None = None
    depth: int = 0

    def span(self, start: int, end: int) -> Span:
        """The place in the file of a stretch of the parsed text."""
        if self.place:
            return self.place(start, end)
        return Span(self.file, self.offset + start, self.offset + end)

    def of(self, part: Tree[Token] | Token) -> Span:
        """The place of a token, or of a tree from its first token to its last."""
        return self.span(*bounds(part))

    def inside(self, start: int, text: str) -> Context:
        """The context of a text within this one, that begins at `start`."""
        outer = self.place
        if outer:
            return replace(self, text=text, place=lambda a, b: outer(start + a, start + b))
        return replace(self, text=text, offset=self.offset + start)

    def report(self, code: str, span: Span, message: str, help: str | None = None) -> None:
        """Keeps a mistake."""
        self.found.append(Diagnostic(code, span, message, help))

    def one_of(self, token: Token, words: Collection[str], what: str) -> str:
        """A word that the grammar takes for any name, where only some mean something."""
        word = str(token)
        if word not in words:
            span, near = self.of(token), did_you_mean(word, words)
            shown = ", ".join(f"`{known}`" for known in words)
            meant = f" Did you mean `{near}`?" if near else ""
            fix = Fix(span, near) if near else None
            message = f"`{word}` can't stand here.{meant}"
            help = None if near else f"{what}: {shown}"
            self.found.append(Diagnostic("E0108", span, message, help, fix))
        return word


class TooDeep(Exception):
    """Raised within the builder where values are nested beyond MAX_NESTING."""

    def __init__(self, span: Span) -> None:
        self.span = span


def too_deep(context: Context, part: Any) -> NoReturn:
    """Gives up the declaration: what is deeper would overflow the stack of the stages behind."""
    raise TooDeep(context.of(part))


def bounds(part: Any) -> tuple[int, int]:
    """The offsets of a token or tree in the parsed text; (0, 0) for an empty tree."""
    start = getattr(part, "start_pos", None)
    if start is not None:
        return start, part.end_pos
    # A tree of lark's; an empty one has no place.
    meta = part.meta
    return (0, 0) if meta.empty else (meta.start_pos, meta.end_pos)


def is_tree(part: Any, *names: str) -> bool:
    """Whether it is a tree, of one of the rules named where any are."""
    data = getattr(part, "data", None)
    return data is not None and (not names or data in names)


def trees(tree: Any, *names: str) -> list[Any]:
    """The children that are trees of one of these rules."""
    return [child for child in tree.children if is_tree(child, *names)]


def first(tree: Any, *names: str) -> Any:
    """The first child that is a tree of one of these rules, or None."""
    for child in tree.children:
        if is_tree(child, *names):
            return child
    return None


def tokens(tree: Any, *kinds: str) -> list[Any]:
    """The children that are tokens, of one of these kinds where any are named."""
    return [
        child
        for child in tree.children
        if not is_tree(child) and (not kinds or child.type in kinds)
    ]


def named(context: Context, token: Any) -> tuple[str, Span]:
    """A name and its place; also of a dotted tree."""
    if is_tree(token):
        return "".join(dotted_parts(token)), context.of(token)
    return str(token), context.of(token)


def dotted_parts(tree: Any) -> list[str]:
    """The pieces of a dotted name with the points between them."""
    parts: list[str] = []
    for token in tree.children:
        text = str(token)
        if parts and text != ".*":
            parts.append(".")
        parts.append(text)
    return parts


def dotted(tree: Any) -> str:
    """A dotted name as it is written: `A.b`, `Invoice.*`."""
    return "".join(dotted_parts(tree))
