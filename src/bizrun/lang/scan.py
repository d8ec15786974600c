"""One pass over a file's text: its comments, its declarations, and what no declaration can hold."""

from __future__ import annotations

import re
from array import array
from typing import NamedTuple

from msgspec import Struct, field

_KEYWORDS = (
    "business entity extend event plan addon meter coupon tax dunning lifecycle trigger on every "
    "fn const template metric api role experiment connect directory sign_in test use type given "
    "override"
)
KEYWORDS = _KEYWORDS.split()

MAX_DEPTH = 100
# These need an edit, but no word to the author.
CONFLICT_END = "conflict's end"
TEMPLATE_BRACE = "brace of a template"
SILENT = (CONFLICT_END, TEMPLATE_BRACE)


class Comment(Struct, frozen=True):
    """A comment with its `#`, not its line end; `own_line` where nothing stands before it."""

    start: int
    end: int
    text: str
    own_line: bool


class Odd(NamedTuple):
    """Something that is never right outside a text: what kind of thing, and where."""

    kind: str
    start: int
    end: int


class Chunk(Struct):
    """The text of one declaration; `keyword` None where it begins with no declaration's word.

    `brackets` are the places of all brackets outside texts and comments, `long` the stretches of
    texts in three quotes; `deep` is the place of the first bracket beyond 100 open ones.
    """

    start: int
    end: int
    keyword: str | None
    doc: str | None = None
    brackets: array[int] = field(default_factory=lambda: array("q"))
    odd: list[Odd] = field(default_factory=list)
    long: list[tuple[int, int]] = field(default_factory=list)
    deep: int | None = None


class Scan(Struct, frozen=True):
    """What a file consists of: its chunks in order, covering all but blanks and comments.

    `odd` is what stands between them, such as comments of another language.
    """

    chunks: list[Chunk]
    comments: list[Comment]
    odd: list[Odd]


_ANY_KEYWORD = re.compile(rf"(?:{'|'.join(KEYWORDS)})(?![\w.:(=?-])")
# What may stand before the keyword of a declaration.
_PREFIX = re.compile(r"""(?:given|override(?:[ \t]+(?:std(?:\.\w+)+|"[^"\n]*"))?)[ \t]+(?=[a-z])""")
# What surely begins a declaration, even where a bracket before it was never closed.
_HEAD = re.compile(
    r"""(?:(?:given|override)[ \t]+(?:(?:std(?:\.\w+)+|"[^"\n]*")[ \t]+)?)? (?: business[ \t]+"
    | (?:extend[ \t]+)?entity[ \t]+[A-Z]\w*[ \t]*\{
    | event[ \t]+[A-Z]\w*\.\w | (?:plan|addon)[ \t]+\w+[ \t]*(?:"[^"\n]*"[ \t]*)?\{
    | (?:meter|coupon|dunning|tax|template|role|connect)[ \t]+\w+[ \t]*\{
    | lifecycle[ \t]+\w+\.\w+[ \t]*\{ | trigger[ \t]+\w+\.\w+[ \t]+for\b
    | on[ \t]+[A-Z*]\w*\.[\w*.]+ | every[ \t]+[^\n]*\{ | (?:fn|function|func|def)[ \t]+\w+[ \t]*\(
    | const[ \t]+\w+[ \t]*= | metric[ \t]+\w+[ \t]*[:=] | api[ \t]+[A-Z]+[ \t]+"
    | (?:directory|sign_in)[ \t]+\w+[ \t]+for\b
    | experiment[ \t]+\w+[ \t]+by\b | test[ \t]+" | use[ \t]+(?:"|std\.)
    | type[ \t]+[A-Z]\w*[ \t]*\{ )""",
    re.VERBOSE,
)
_CONTINUES = re.compile(r"[ \t]*(?:[{.)\]}|+*/<>=?,-]|(?:and|or|where|order by|else)\b)")
_ENDS_OPEN = re.compile(r"(?:[-+*/=<>,|:.(\[{]|\?\?|\b(?:and|or|not|where|then|else|in|of))\Z")
_NEXT = re.compile(
    r"""(?P<text>"(?:"")?)|(?P<comment>\#[^\r\n]*)|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<line>\n)
    |(?P<odd>//[^\r\n]*|/\*(?>(?:[^*]++|\*(?!/))*(?:\*/)?)|'(?:[^'"\r\n]*')?|[“”„][^“”„"\r\n]*[“”„]
        |`[^`"\r\n]*`
        |(?:(?<=[A-Z]{3})|(?<=[A-Z]{3}[ ]))/[ ]?(?:day|week|month|year|mo|yr|seat|user)\b
        |(?<![\w.])[0-9][0-9_.]*(?:[A-Z]{3}|[ ](?:usd|eur|gbp|jpy|chf|cad|aud|inr|cny|sek))\b
        |[“”„‘’«»`]|;|&&|\|\||[=!]==|!(?!=)|[$€£¥](?:[ \t]?[0-9][0-9_,]*(?:\.[0-9]+)?)?
        |(?<![\w.])[0-9]+\.[0-9]+(?:\.[0-9]+)+
        |(?<![\w./-])(?:[0-9]{1,2}[/-][0-9]{1,2}[/-][0-9]{4}|[0-9]{4}/[0-9]{1,2}/[0-9]{1,2}
            |[0-9]{4}-(?![0-9]{2}-[0-9]{2})[0-9]{1,2}-[0-9]{1,2})(?![\w./-])
        |[\u00a0\u1680\u2000-\u200d\u202f\u205f\u2060\u3000]+
        |[\0@\\^~%](?<![\w)\s]%))""",
    re.VERBOSE,
)
_CONFLICT = re.compile(r"(?:<{7}|={7}|>{7}|\|{7})(?= |\r?$)", re.MULTILINE)
_IN_TEXT = re.compile(r'["{}\\\n]')
_PLAIN_TEXT = re.compile(r'"(?>(?:[^"\\\n]++|\\.)*)"')
_TEXT3 = re.compile(r'"""(?>(?:[^"\\]++|\\.|"(?!""))*)"""', re.DOTALL)
_LOOKS_LIKE_HEAD = re.compile(r"[A-Za-z]\w*[ \t]+[^\n{]*+\{")


def scan(text: str) -> Scan:
    """Cuts a text into its declarations in one pass, whatever it holds."""
    return _Scanner(text).run()


def text_end(text: str, start: int, end: int) -> int | None:
    """Where a text in single quotes ends, past its `"`; None where its line or `end` comes first.

    Braces hold expressions, which may hold texts again.
    """
    inside = ['"']
    place = start + 1
    while found := _IN_TEXT.search(text, place, end):
        place = found.end()
        match found[0], inside[-1]:
            case "\n", _:
                return None
            case "\\", _:
                place += 1
            case '"', '"':
                inside.pop()
                if not inside:
                    return place
            case '"', _:
                inside.append('"')
            case "{", _:
                inside.append("{")
            case "}", "{":
                inside.pop()
    return None


def _without_closers(piece: str, opened: int) -> str:
    """What is left of an unclosed text less a comment and the brackets that end its line.

    `opened` brackets were opened before it in its line and not closed.
    """
    cut = piece.find(" #")
    shorter = (piece[:cut] if cut > 0 else piece).rstrip()
    if shorter.endswith(" {"):
        return shorter[:-2].rstrip()
    while opened > 0 and shorter.endswith((")", "]", "}", ",")) and len(shorter) > 1:
        opened -= shorter[-1] != ","
        shorter = shorter[:-1].rstrip()
    return shorter


def _closes(text: str) -> bool:
    """Whether a template's text closes all that it opens of Jinja2: a lone brace opens nothing."""
    return text.count("{{") == text.count("}}") and text.count("{%") == text.count("%}")


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.chunks: list[Chunk] = []
        self.comments: list[Comment] = []
        self.loose: list[Odd] = []
        self.depth = 0
        self.chunk: Chunk | None = None
        self.last = 0  # behind the newest text that is no blank and no comment
        self.plain_until = 0  # up to here a `{` in a text is taken as it stands
        self.conflicts = "<<<<<<<" in text
        # An odd number of `"""` means that one is not closed: then a text ends at a declaration.
        self.odd_quotes = text.count('"""') % 2 == 1

    def run(self) -> Scan:
        text, place = self.text, 0
        place = self.line(0)
        while found := _NEXT.search(text, place):
            self.plain(place, found.start())
            match found.lastgroup:
                case "text":
                    place = self.quoted(found.start(), found.end())
                case "comment":
                    self.comment(found.start(), found.end())
                    place = found.end()
                case "line":
                    place = self.line(found.end())
                case "open" | "close" as kind:
                    self.bracket(found.start(), kind == "open")
                    place = found.end()
                case _:
                    self.odd(found.start(), found.end())
                    place = found.end()
        self.plain(place, len(text))
        self.finish()
        return Scan(self.chunks, self.comments, self.loose)

    def plain(self, start: int, end: int) -> None:
        """Takes in what stands between two tokens."""
        piece = self.text[start:end].rstrip()
        if piece:
            if self.chunk is None:
                self.begin(start + len(piece) - len(piece.lstrip()), None)
            self.last = start + len(piece)

    def begin(self, start: int, keyword: str | None) -> None:
        self.finish()
        self.chunk = Chunk(start, start, keyword, self.doc(start))
        self.depth = 0

    def finish(self) -> None:
        if self.chunk is not None:
            # A blank of other scripts begins a chunk, and is none of its text.
            self.chunk.end = max(self.last, min(self.chunk.start + 1, len(self.text)))
            self.loose += [odd for odd in self.chunk.odd if odd.start >= self.last]
            self.chunk.odd = [odd for odd in self.chunk.odd if odd.start < self.last]
            self.chunks.append(self.chunk)
            self.chunk = None

    def here(self, start: int) -> Chunk:
        """The chunk that something at a place belongs to."""
        if self.chunk is None:
            self.begin(start, None)
        assert self.chunk is not None
        return self.chunk

    def line(self, start: int) -> int:
        """Looks at the beginning of a line: does something new begin here? Gives where to go on."""
        text = self.text
        if self.conflicts and _CONFLICT.match(text, start):
            return self.conflict(start)
        word = start
        while word < len(text) and text[word] in " \t":
            word += 1
        if word == len(text) or text[word] in "\r\n#":
            return word
        if text.startswith(("//", "/*"), word):
            return word
        if self.depth > 0:
            if word == start and _HEAD.match(text, start):
                self.begin(start, self.keyword(start))
            return word
        if self.starts_anew(start, word):
            self.begin(word, self.keyword(word))
        return word

    def starts_anew(self, start: int, word: int) -> bool:
        """Whether the line at `word` is no continuation of the chunk; no bracket is open."""
        chunk = self.chunk
        if chunk is None:
            return True
        if word == start and _ANY_KEYWORD.match(self.text, word):
            return True
        if _CONTINUES.match(self.text, start):
            return False
        before = self.text[max(chunk.start, self.last - 6) : self.last]
        if _ENDS_OPEN.search(before):
            return False
        if word > start:
            return chunk.keyword is not None and before.endswith("}") and self.closed(chunk)
        if chunk.keyword or before.endswith("}") or _LOOKS_LIKE_HEAD.match(self.text, word):
            return True
        # Lines of nonsense are one mistake, up to an empty line.
        return self.text.count("\n", self.last, start) > 1

    def closed(self, chunk: Chunk) -> bool:
        """Whether the newest `}` may be the declaration's own: on its line or not indented."""
        line = self.text.rfind("\n", chunk.start, self.last - 1) + 1
        return not line or self.text[line] not in " \t"

    def keyword(self, start: int) -> str | None:
        prefix = _PREFIX.match(self.text, start)
        inner = _ANY_KEYWORD.match(self.text, prefix.end()) if prefix else None
        found = inner or _ANY_KEYWORD.match(self.text, start)
        return found[0] if found else None

    def doc(self, start: int) -> str | None:
        """The text of the `##` comments directly above a place."""
        lines: list[str] = []
        for comment in reversed(self.comments):
            gap = self.text[comment.end : start] if start - comment.end < 200 else "x"
            if not comment.own_line or gap.strip() or gap.count("\n") > 1:
                break
            if not comment.text.startswith("##"):
                break
            lines.append(comment.text[2:].removeprefix(" ").rstrip())
            start = comment.start
        return "\n".join(reversed(lines)) or None

    def comment(self, start: int, end: int) -> None:
        line = self.text.rfind("\n", max(0, start - 400), start) + 1
        own = not self.text[line:start].strip() if start - line < 400 else False
        self.comments.append(Comment(start, end, self.text[start:end].rstrip(), own))

    def bracket(self, start: int, opens: bool) -> None:
        chunk = self.here(start)
        self.last = start + 1
        if chunk.deep is not None:
            return
        chunk.brackets.append(start)
        self.depth = self.depth + 1 if opens else max(0, self.depth - 1)
        if self.depth > MAX_DEPTH:
            chunk.deep = start

    def odd(self, start: int, end: int) -> None:
        if self.text.startswith(("//", "/*"), start):
            (self.chunk.odd if self.chunk else self.loose).append(Odd("comment", start, end))
            return
        self.here(start).odd.append(Odd("odd", start, end))
        self.last = end

    def conflict(self, start: int) -> int:
        """Passes over a merge conflict's marks and its second half."""
        text = self.text
        line_end = text.find("\n", start)
        line_end = len(text) if line_end < 0 else line_end
        end = line_end
        if text.startswith(("=======", "|||||||"), start):
            close = text.find("\n>>>>>>>", start)
            if close >= 0:
                end = text.find("\n", close + 1)
                end = len(text) if end < 0 else end
        kind = "conflict" if text.startswith("<", start) else CONFLICT_END
        (self.chunk.odd if self.chunk else self.loose).append(Odd(kind, start, end))
        return end

    def quoted(self, start: int, end: int) -> int:
        """Passes over a text and gives where it ends; one that is not closed is kept as odd."""
        chunk = self.here(start)
        if end - start == 3:
            place = self.triple(chunk, start)
        else:
            place = self.single(chunk, start)
        self.last = place
        return place

    def triple(self, chunk: Chunk, start: int) -> int:
        found = _TEXT3.match(self.text, start)
        if found and self.odd_quotes:
            head = self.head_in(start, found.end())
            if head is not None:
                self.odd_quotes = False
                return self.unclosed(chunk, start, head)
        if found:
            chunk.long.append(found.span())
            return found.end()
        head = self.head_in(start, len(self.text)) or len(self.text)
        return self.unclosed(chunk, start, head)

    def unclosed(self, chunk: Chunk, start: int, end: int) -> int:
        """Keeps a text without its last `\"""`; a last line of `}` is taken to close its block."""
        line = self.text.rfind("\n", start, end)
        while line > start and not self.text[line:end].strip():
            end, line = line, self.text.rfind("\n", start, line)
        if line > start and self.text[line:end].strip() == "}":
            end = line
        chunk.odd.append(Odd("text3", start, end))
        return end

    def head_in(self, start: int, end: int) -> int | None:
        """Where, inside what looks like a text, a declaration begins: before its line feed."""
        for line in re.compile(r"\n(?=[a-z])").finditer(self.text, start, end):
            if _HEAD.match(self.text, line.end()):
                return line.start()
        return None

    def single(self, chunk: Chunk, start: int) -> int:
        text = self.text
        line_end = text.find("\n", start)
        line_end = len(text) if line_end < 0 else line_end
        plain = _PLAIN_TEXT.match(text, start, line_end)
        jinja = chunk.keyword == "template" and plain is not None and _closes(plain[0])
        place = None if jinja or start < self.plain_until else text_end(text, start, line_end)
        if place is not None:
            return place
        if start >= self.plain_until and not jinja:
            self.plain_until = line_end
        if plain:
            if "{" in plain[0]:
                kind = TEMPLATE_BRACE if chunk.keyword == "template" else "brace"
                chunk.odd.append(Odd(kind, start, plain.end()))
            return plain.end()
        line = text.rfind("\n", 0, start) + 1
        here = [text[place] in "([{" for place in chunk.brackets[-20:] if place >= line]
        end = start + len(_without_closers(text[start:line_end], 2 * sum(here) - len(here)))
        chunk.odd.append(Odd("text", start, end))
        return end
