"""Text outside of declarations, which none begins; and names that can't be any."""

from __future__ import annotations

import re

from ..diagnostics import Diagnostic, Fix, Span, did_you_mean
from . import foreign
from .mend import Complaint, Edit
from .scan import KEYWORDS, Chunk
from .words import RESERVED, STATEMENTS

_WORD = re.compile(r"[^\W\d]\w*")
_VALUE = re.compile(r"[^\W\d]\w*[ \t]*:?=(?!=)")
_RHYTHMS = {"hourly": "hour", "daily": "day", "weekly": "week", "monthly": "month",
            "yearly": "year", "annually": "year"}  # fmt: skip


def outside(file: str, text: str, chunk: Chunk) -> Complaint:
    """What is wrong with a chunk that no declaration begins; places are the file's."""
    found = _WORD.match(text, chunk.start)
    line_end = text.find("\n", chunk.start, chunk.end)
    line = Span(file, chunk.start, line_end if line_end >= 0 else chunk.end)
    known = ", ".join(f"`{keyword}`" for keyword in KEYWORDS)
    if not found:
        message = "No declaration begins here."
        return Complaint(Diagnostic("E0107", line, message, f"a file consists of {known}"), ())
    word, span = found[0], Span(file, *found.span())
    if foreign.STATEMENTS.get(word) == "fn":
        fix = Fix(span, "fn")
        message = f"There is no `{word}`; a function is declared with `fn`."
        edit = Edit(*found.span(), "fn")
        return Complaint(Diagnostic("E0124", span, message, None, fix), (edit,))
    if word in STATEMENTS.split() and word not in foreign.DECLARATIONS:
        message = f"`{word}` is a statement and stands in a handler: `on …`, `every …`."
        return Complaint(Diagnostic("E0107", span, message), ())
    if word in KEYWORDS:
        message = f"A `{word}` does not begin so."
        bracket = text.startswith("(", found.end())
        help = f"brackets stand nowhere around it: `{word} …`" if bracket else None
        return Complaint(Diagnostic("E0107", line, message, help), ())
    if word in _RHYTHMS:
        message = f"A schedule begins with `every`: `every {_RHYTHMS[word]} …`."
        fix = Fix(span, f"every {_RHYTHMS[word]}")
        edit = Edit(*found.span(), f"every {_RHYTHMS[word]}")
        return Complaint(Diagnostic("E0107", span, message, None, fix), (edit,))
    value = _VALUE.match(text, chunk.start)
    if value:
        message = f"A value of a whole file is a `const`: `const {word} = …`."
        start = Span(file, chunk.start, chunk.start)
        edit = Edit(chunk.start, value.end(), f"const {word} =")
        return Complaint(
            Diagnostic("E0107", span, message, None, Fix(start, "const ", False)), (edit,)
        )
    near = did_you_mean(word, KEYWORDS) or foreign.DECLARATIONS.get(word)
    if near:
        message = f"`{word}` begins no declaration. Did you mean `{near}`?"
        certain = word not in foreign.DECLARATIONS
        fix = Fix(span, near, certain)
        edit = Edit(*found.span(), near)
        return Complaint(Diagnostic("E0107", span, message, None, fix), (edit,))
    message = f"`{word}` begins no declaration."
    return Complaint(Diagnostic("E0107", line, message, f"a file consists of {known}"), ())


def reserved_name(name: str, span: Span) -> Diagnostic:
    """What to say of a value with a name that is a word of the language."""
    message = f"`{name}` is a word of the language and can't name a value."
    return Diagnostic("E0133", span, message, f"words that can't: {', '.join(sorted(RESERVED))}")


def null_name(name: str, span: Span) -> Diagnostic:
    """What to say of a name by which other languages call `none`, `true` or `false`."""
    word = foreign.NULLS[name]
    message = f"There is no `{name}`; write `{word}`."
    return Diagnostic("E0122", span, message, None, Fix(span, word))
