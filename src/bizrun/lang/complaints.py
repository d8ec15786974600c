"""What to tell an author where the parser stopped: what it was reading, and what is missing."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..currencies import EXPONENTS
from ..diagnostics import Diagnostic, Fix, Span, did_you_mean
from . import foreign
from .habit_form import SHAPE
from .mend import BAD, Complaint, Edit
from .scan import KEYWORDS
from .stop import Stop
from .words import (
    BY_DECLARATION,
    IN_BLOCKS,
    IN_QUERIES,
    RESERVED,
    STATEMENT_FORMS,
    STATEMENTS,
    TEST_STATEMENTS,
)

_WORD = re.compile(r"[^\W\d]\w*")


def complain(stop: Stop) -> Complaint:
    """What is wrong at a place where the parser stopped."""
    blamed = _no_action(stop)
    if blamed:
        return blamed
    for rule in _RULES:
        complaint = rule(stop)
        if complaint:
            return complaint
    return _unexpected(stop)


# --- mistakes with a message of their own ----------------------------------------------------


def _money(stop: Stop) -> Complaint | None:
    found = stop.match(r"(?<![\w.])([0-9][0-9_.]*)(?:[ \t]+([A-Za-z]{3})|([A-Za-z]{3}))(?!\w)")
    if found:
        code = (found[2] or found[3]).upper()
        small = found[2] != code
        if small and code in EXPONENTS:
            fix = f"{found[1]} {code}"
            message = f"Money is written with a currency code in capitals: `{fix}`."
            return stop.complain("E0117", message, span=found.span(), fix=(*found.span(), fix))
    found = stop.match(r"\b([A-Z]{3})[ \t]*([0-9][0-9_.]*)(?![\w.])")
    if found and found[1] in EXPONENTS:
        fix = f"{found[2]} {found[1]}"
        message = f"The currency stands behind the amount: `{fix}`."
        return stop.complain("E0117", message, span=found.span(), fix=(*found.span(), fix))
    return None


_UNITS = ["second", "minute", "hour", "day", "week", "month", "quarter", "year"]
_OTHER_UNITS = {
    "sec": "second", "secs": "second", "s": "second", "min": "minute", "mins": "minute",
    "hr": "hour", "hrs": "hour", "h": "hour", "d": "day", "w": "week", "wk": "week",
    "wks": "week", "mo": "month", "mos": "month", "yr": "year", "yrs": "year", "y": "year",
}  # fmt: skip
_TAKES_TIME = r"(?:trial|after|for|within|every|advance|retry|[-+,]|reaches|below|by|=)\s+"


def _unit(stop: Stop) -> Complaint | None:
    found = stop.match(rf"({_TAKES_TIME})?(?<![\w.])([0-9][0-9_.]*)[ \t]*([a-z]+)(?!\w)")
    if not found or found[3] in stop.expected or re.match(r"\s*:", stop.head[found.end() :]):
        return None
    span = (found.start(2), found.end())
    units = [*_UNITS, *(f"{unit}s" for unit in _UNITS)]
    near = did_you_mean(found[3], units) if len(found[3]) > 2 else None
    if near and found[2] != "1":
        near = near.rstrip("s") + "s"
    meant = _OTHER_UNITS.get(found[3], "")
    if meant and found[2] != "1":
        meant += "s"
    if found[3] in units and found[0].endswith(found[2] + found[3]):
        meant = found[3]
    if found[3] in units and not meant:
        return None
    if meant or near:
        fix = f"{found[2]} {meant or near}"
        message = f"`{found[3]}` is no unit of time."
        if found[3] in units:
            message = f"A blank stands between a number and its unit: `{fix}`."
        return stop.complain(
            "E0113", message, f"did you mean `{fix}`?", span=span, fix=(*span, fix)
        )
    if found[1] or found[3] in ("fortnight", "fortnights", "decade", "decades"):
        message = f"`{found[3]}` is no unit of time."
        help = "units: seconds, minutes, hours, days, weeks, months, quarters, years"
        days = (*span, f"{found[2]} days")
        complaint = stop.complain("E0113", message, help, span=span, fix=days)
        bare = Diagnostic("E0113", complaint.diagnostic.span, message, help)
        return Complaint(bare, complaint.edits)
    return None


_CONDITION = re.compile(r"\s*(?:if|else\s+if|expect|match)\b|.*\b(?:where|when|and|or|not)\b", re.S)


# A second `, name = value` behind one that is told.
_NAMED_VALUE = re.compile(r",\s*[^\W\d]\w*(\s*=)(?![=>])")


def _assignment(stop: Stop) -> Complaint | None:
    if not stop.token.startswith("=") or stop.token not in ("=", "=>"):
        return None
    head, at = stop.head, stop.at
    if _CONDITION.match(head[:at]) and stop.token == "=":
        message = "`=` gives a value to a name; two values are compared with `==`."
        return stop.complain("E0119", message, fix=(at, at + 1, "=="))
    if ":" in stop.expected and stop.token == "=":
        message = "A value stands behind its name and a colon: `name: value`."
        start = len(head[:at].rstrip())
        line_end = stop.text.find("\n", stop.place)
        others = _NAMED_VALUE.finditer(stop.text, stop.place, max(line_end, stop.place))
        more = [Edit(*found.span(1), ":") for found in others]
        fix = (start, at + 1, ":")
        complaint = stop.complain("E0130", message, fix=fix, certain=not more)
        return Complaint(complaint.diagnostic, (*complaint.edits, *more))
    if stop.token == "=" and (lone := re.search(r"(?:^|[{])\s*(let)\s*$", head[:at])):
        help = "write `let x = …`"
        complaint = stop.complain("E0134", "A name stands behind `let`.", help, span=lone.span(1))
        return Complaint(complaint.diagnostic, (Edit(stop.place, stop.place, f"{BAD} "),))
    name = re.fullmatch(r"\s*(?!let\s)([^\W\d]\w*)\s*", head[:at])
    if name and stop.token == "=" and _in_code(stop):
        message = f"A name is given with `let {name[1]} = …`."
        help = "names never change; state does: `update x { field: value }`"
        return stop.complain("E0134", message, help, fix=(name.start(1), name.start(1), "let "))
    return None


def _changes(stop: Stop) -> Complaint | None:
    found = re.match(r"\s*[^\W\d][\w.]*\s*(\+\+|--|[-+*/]=)", stop.head)
    if not found or stop.at > found.end() + 1:
        return None
    message = f"There is no `{found[1]}`."
    help = "names never change; state does: `update x { count: .count + 1 }`"
    return stop.complain("E0134", message, help, span=found.span(1))


def _compared(stop: Stop) -> Complaint | None:
    start = stop.at - (stop.token == ">" and stop.head[: stop.at].endswith("<"))
    if stop.head[start : start + 2] == "<>":
        span = (start, start + 2)
        return stop.complain("E0125", "There is no `<>`; write `!=`.", span=span, fix=(*span, "!="))
    if stop.token in ("=<", "=>") and re.search(r"\b(?:if|where|when)\b", stop.head[: stop.at]):
        word = stop.token[::-1]
        message = f"There is no `{stop.token}` to compare with; write `{word}`."
        return stop.complain("E0125", message, fix=(stop.at, stop.at + 2, word))
    return None


# A statement's first word behind a line that ends with an operator.
_OPEN_END = re.compile(
    r"([-+*/=<>,]|\b(?:and|or|not|in|where|when|unless))[ \t]*(?:#[^\n]*)?\r?\n\s*"
    r"(?:let|create|upsert|update|delete|add|remove|emit|after|wait|if|for|match|return|reject"
    r"|record|log|expect|advance|answer|retrun)[ \t]"
)


def _open_end(stop: Stop) -> Complaint | None:
    """A line without its last value: the next statement was read as that."""
    matches = list(_OPEN_END.finditer(stop.head[: stop.at]))
    if not matches or not _in_code(stop):
        return None
    found = matches[-1]
    a, b = found.span(1)
    let = re.search(r"let\s+([^\W\d]\w*)\s*\Z", stop.head[:a])
    if let and found[1] == "=":
        message, help = f"`let {let[1]}` has no value.", f"write `let {let[1]} = …`"
        complaint = stop.complain("E0126", message, help, span=let.span(1))
    else:
        message = f"A value is missing behind this `{found[1]}`."
        complaint = stop.complain("E0101", message, span=(a, b))
    place = stop.part.head[0] + b
    return Complaint(complaint.diagnostic, (Edit(place, place, f" {BAD}"),))


def _let(stop: Stop) -> Complaint | None:
    found = re.match(r"\s*let\s+([^\W\d]\w*)\s*(=?)\s*\Z", stop.head[: stop.at])
    if found and (not stop.token or stop.token in "}," or "\n" in stop.text[stop.place - 1]):
        message = f"`let {found[1]}` has no value."
        start = found.start(1)
        return stop.complain(
            "E0126", message, f"write `let {found[1]} = …`", span=(start, start + len(found[1]))
        )
    return None


def _branch(stop: Stop) -> Complaint | None:
    head = stop.head
    other = re.match(r"\s*(?:\}\s*)?(elif|elsif|elseif|elsf)\b", head)
    if other:
        a, b = other.span(1)
        message = f"`{other[1]}` is written `else if`."
        return stop.complain("E0135", message, span=(a, b), fix=(a, b, "else if"))
    if stop.token == "else" and "else" not in stop.expected:
        nested = re.match(r"else\s+if\b", head[stop.at :])
        message = "This `else` has no `if` before it."
        mend = Edit(stop.place, stop.place + 4, " " * 4 if nested else f"\nif {BAD}")
        complaint = stop.complain("E0127", message, "`else` follows the `}` of its `if`")
        return Complaint(complaint.diagnostic, (mend,))
    found = re.match(r"\s*(?:else\s+)?if\b", head)
    block = stop.part.head[1] < stop.part.end and stop.text[stop.part.head[1]] == "{"
    if found and stop.at >= found.end() and not block and _in_code(stop):
        message = "The statements of an `if` stand in braces."
        return stop.complain("E0128", message, "write `if … { … }`", span=found.span())
    return None


def _no_action(stop: Stop) -> Complaint | None:
    """An `else { … }` or `try { … }` that was read as an action, and what it holds as a map."""
    if stop.part.opener is None:
        return None
    start = max(0, stop.part.opener - 200)
    before = stop.text[start : stop.part.opener]
    found = re.search(r"(?:\A|[{\n])[ \t]*(else|try)[ \t]*\Z", before)
    if not found:
        return None
    a, b = start + found.start(1), start + found.end(1)
    code, message = "E0127", "This `else` has no `if` before it."
    help = "`else` follows the `}` of its `if`"
    if found[1] == "try":
        from .habits import INSTEAD_OF_TRY, NO_TRY

        code, message, help = "E0140", NO_TRY, INSTEAD_OF_TRY
    return Complaint(Diagnostic(code, Span("", a, b), message, help), (Edit(a, b, f"if {BAD}"),))


def _in_code(stop: Stop) -> bool:
    return stop.keyword in IN_BLOCKS and stop.part.opener is not None


def _loop(stop: Stop) -> Complaint | None:
    found = re.match(r"\s*(for|foreach|for\s+all)\s+(?!each\b)([^\W\d]\w*)\s+in\b", stop.head)
    if not found:
        return None
    a, b = found.span(1)
    message = f"A loop is written `for each {found[2]} in …`."
    return stop.complain("E0129", message, span=(a, b), fix=(a, b, "for each"))


def _entry(stop: Stop) -> Complaint | None:
    head, at = stop.head, stop.at
    if ":" in stop.expected:
        found = re.search(r'([^\W\d]\w*|"[^"]*")\s*\Z', head[:at])
        if found and stop.token and stop.token not in "},":
            whole = re.match(r"[\w.]*\.(\w+)(?=\s*[,}\n]|\Z)", head[found.start(1) :])
            if stop.token == "." and whole:
                message, start = f"`{whole[0]}` needs the name of its field.", found.start(1)
                help = f"write `{whole[1]}: {whole[0]}`"
                span = (start, start + whole.end())
                complaint = stop.complain("E0130", message, help, span=span)
                low = stop.part.head[0] + start
                return Complaint(complaint.diagnostic, (Edit(low, low, f"{BAD}: "),))
            message = f"A `:` is missing behind `{found[1]}`."
            place = found.end(1)
            fix = (place, place, ":")
            complaint = stop.complain("E0130", message, span=(found.start(1), place), fix=fix)
            if stop.works(complaint.edits):
                return complaint
            return stop.complain(
                "E0130", message, span=(found.start(1), place), fix=fix, certain=False
            )
    if "," in stop.expected and re.match(r'(?:[^\W\d]\w*|"[^"\n]*")\s*:', head[at:]):
        place = len(head[:at].rstrip())
        message = f"A comma is missing before `{stop.token}`."
        return stop.complain("E0130", message, fix=(place, place, ","))
    if "," in stop.expected and re.match(r"[^\W\d]\w*\s*[,}]", head[at:]):
        place = len(head[:at].rstrip())
        message = f"A comma is missing before `{stop.token}`."
        complaint = stop.complain("E0130", message, fix=(place, place, ","), certain=False)
        if not head[:place][-1:].isdigit() and stop.works(complaint.edits):
            return complaint
    item = stop.token != "as" and (stop.token[:1].isalnum() or stop.token.startswith('"'))
    if "," in stop.expected and item and {")", "]"} & stop.expected:
        place = len(head[:at].rstrip())
        message = f"A comma is missing before `{stop.token}`."
        return stop.complain("E0130", message, fix=(place, place, ","), certain=False)
    return None


def _tiers(stop: Stop) -> Complaint | None:
    """Tiers in a block that nothing calls `graduated`, which was read as prices of a dimension."""
    place = stop.part.opener
    if stop.token not in ("up", "above") or "else" not in stop.expected or place is None:
        return None
    help = (
        "write `graduated { … }`, where each tier prices its own units, or `volume`, where the one "
        "that is reached prices all"
    )
    at = Span("", place, place + 1)
    fix = Fix(Span("", place, place), "graduated ", False)
    diagnostic = Diagnostic("E0140", at, "Tiers say how they are counted.", help, fix)
    return Complaint(diagnostic, (Edit(place, place, "graduated "),))


def _colon(stop: Stop) -> Complaint | None:
    found = re.match(r"\s*([^\W\d]\w*)\s*\Z", stop.head[: stop.at])
    if stop.text.startswith(":=", stop.place) and found and _in_code(stop):
        message = f"A name is given with `let {found[1]} = …`."
        span = (found.start(1), stop.at + 2)
        return stop.complain("E0134", message, span=span, fix=(*span, f"let {found[1]} ="))
    if stop.token in (":", "=") and found:
        message = f"No `{stop.token}` stands behind `{found[1]}` here."
        return stop.complain("E0137", message, fix=(stop.at, stop.at + 1, ""))
    return None


def _returns(stop: Stop) -> Complaint | None:
    """What a function gives, behind the sign of another language."""
    found = re.match(r"\s*(=>|:)\s*(?=[\[{\w])", stop.head) if stop.keyword == "fn" else None
    if found is None:
        return None
    message = f"`{found[1]}` can't stand here {_context(stop)}; write `->`."
    complaint = stop.complain("E0101", message, span=found.span(1), fix=(*found.span(1), "->"))
    return complaint if stop.works(complaint.edits) else None


def _order_by(stop: Stop) -> Complaint | None:
    """`orderby`, `sort by`, and `order` without its `by`."""
    found = stop.match(r"\b(order_?[bB]y|sort_?[bB]y|ORDER\s+BY|sort\s+by|order)\s+(?!by\b)")
    if found is None:
        return None
    message = f"`{found[1]}` can't stand here. Did you mean `order by`?"
    fix = (*found.span(1), "order by")
    complaint = stop.complain("E0108", message, span=found.span(1), fix=fix)
    return complaint if stop.works(complaint.edits) else None


def _arrow(stop: Stop) -> Complaint | None:
    start, written = stop.at, stop.token
    if written == ">" and stop.head[:start].endswith("-"):
        start, written = start - 1, "->"
    meant = {"=>": "->", "->": "=>", ":": "=>"}.get(written)
    if meant is None or (meant not in stop.expected and start == stop.at):
        return None
    span = (start, start + len(written))
    fix = (*span, meant)
    message = f"`{written}` can't stand here {_context(stop)}; write `{meant}`."
    return stop.complain("E0101", message, span=span, fix=fix)


def _quoted_name(stop: Stop) -> Complaint | None:
    before = stop.head[: stop.at].strip()
    name = re.fullmatch(r'"([^\W\d]\w*)"', stop.token)
    if stop.part.depth == 0 and before in (*KEYWORDS, "extend entity") and name:
        message = f"What a file declares is named bare: `{before} {name[1]}`."
        fix = (stop.at, stop.at + len(stop.token), name[1])
        return stop.complain("E0139", message, fix=fix)
    return None


def _foreign_word(stop: Stop) -> Complaint | None:
    found = re.match(r"\s*([^\W\d]\w*)", stop.head)
    if not found or found[1] not in foreign.STATEMENTS or found[1] in stop.expected:
        return None
    if found[1] == "const" and not _in_code(stop):
        return None
    word = foreign.STATEMENTS[found[1]]
    if word == "fn":
        message = f"There is no `{found[1]}`; a function is declared with `fn`, outside of others."
        return stop.complain("E0124", message, span=found.span(1))
    message = f"There is no `{found[1]}`; write `{word}`."
    fix = (*found.span(1), word) if word in ("let", "log", "reject") else None
    return stop.complain("E0108", message, span=found.span(1), fix=fix, certain=False)


# A statement that is a word alone, up to where the parser stopped.
_ALONE = re.compile(r"(?:[{\n]|\A)[ \t]*([^\W\d]\w*)\s*\Z")
_EMPTY = ("pass", "noop", "nothing", "skip")
_NEXT_ROUND = ("break", "continue", "next")


def _lone_word(stop: Stop) -> Complaint | None:
    """`stop`, `exit`, `pass`: an action's name, to the parser, that lacks its fields."""
    if stop.token not in ("", "}") or not {"{", "a text"} <= stop.expected:
        return None
    if stop.keyword not in IN_BLOCKS:
        return None
    start = max(0, stop.place - 200)
    found = _ALONE.search(stop.text, start, stop.place)
    if found is None:
        return None
    word, span = found[1], Span("", *found.span(1))
    message, new = f"There is no `{word}`.", "return"
    if word in _EMPTY:
        help, new = "a block in which nothing is to be done is `{ }`", f"log {BAD}"
    elif word in _NEXT_ROUND:
        message = "A loop's rounds are independent: none ends the others."
        help = "`return` ends this round; say with `where` which items it goes through"
    elif word in foreign.ENDS:
        help = "`return` ends a handler; `reject` refuses the event, and nothing of it is kept"
    else:
        message = f"`{word}` is no statement by itself."
        form = STATEMENT_FORMS.get(word)
        help = f"write `{form}`" if form else (
            f"an action has its fields in braces: `{word} {{ name: value }}`"
        )  # fmt: skip
        new = f"log {BAD}"
    edit = Edit(span.start, span.end, new)
    return Complaint(Diagnostic("E0140", span, message, help), (edit,))


def _habit(stop: Stop) -> Complaint | None:
    """What is written as in another language: with a fix only where the text can be read then."""
    from .habits import habit  # hundreds of patterns, for those alone who made a mistake

    keyword = stop.keyword or "fn"  # an expression by itself is what a function could give
    for complaint, promises in habit(stop.text, keyword, stop.place, ":" in stop.expected):
        if not promises or stop.works(complaint.edits):
            return complaint
    return None


_ANGLED = re.compile(r"[^\W\d]\w*[ \t]*<[\w \t,<>?|]*>")


def _angled(stop: Stop) -> Complaint | None:
    """`Array<Item<text>>`: a `>` at its end would take the next line along."""
    found = stop.match(_ANGLED.pattern)
    if stop.token != "<" or stop.keyword not in SHAPE or found is None:
        return None
    help = "`[text]` is a list, `{text: number}` a map, and `text?` may be none"
    complaint = stop.complain("E0140", "A type has no `<…>`.", help, span=found.span())
    where = complaint.diagnostic.span
    return Complaint(complaint.diagnostic, (Edit(where.start, where.end, "json"),))


# --- words that are nearly right -------------------------------------------------------------


def _known_words(stop: Stop) -> list[str]:
    words = BY_DECLARATION.get(stop.keyword.split(" ")[0], "").split()
    if stop.keyword in IN_BLOCKS and (stop.part.depth or stop.keyword == "on"):
        words += STATEMENTS.split()
        words += TEST_STATEMENTS.split() if stop.keyword == "test" else []
    return [*words, *IN_QUERIES.split(), "and", "or", "not", "across", "tenants"]


def _misspelt(stop: Stop) -> Complaint | None:
    """A word near the place that is nearly a keyword, if that keyword lets the part be read."""
    known = _known_words(stop)
    words = list(_WORD.finditer(stop.head))
    near = [word for word in words if word.start() <= stop.at][-3:]
    tried = 0
    for word in dict.fromkeys([*reversed(near), *words[:1]]):
        if word[0] in known or len(word[0]) < 2 or tried > 3:
            continue
        extra = [name for name in stop.expected if _WORD.fullmatch(name)]
        meant = did_you_mean(word[0], [*known, *extra])
        if not meant:
            continue
        tried += 1
        message = f"`{word[0]}` can't stand here. Did you mean `{meant}`?"
        complaint = stop.complain("E0108", message, span=word.span(), fix=(*word.span(), meant))
        if stop.works(complaint.edits):
            return complaint
    return None


_BEGINS = frozenset({
    "advance", "create", "delete", "emit", "expect", "if", "let", "log", "match", "record",
    "reject", "return", "update", "upsert",
})  # fmt: skip


def _next_statement(stop: Stop) -> Complaint | None:
    """Two statements on a line: a block's end doesn't end its statement, a new line does."""
    if "a new line" not in stop.expected or stop.token not in _BEGINS:
        return None
    if stop.token == "if" and re.search(r"\breject\b[^{}]*\Z", stop.head[: stop.at]):
        return None  # a condition behind what it decides
    message = f"A statement ends with its line: `{stop.token}` begins another."
    complaint = stop.complain("E0101", message, "begin a new line", fix=(stop.at, stop.at, "\n"))
    return complaint if stop.works(complaint.edits) else None


def _inner(stop: Stop) -> Complaint | None:
    """What makes an entity, where a value has to stand."""
    found = re.search(r"\b(create|upsert)\s+\Z", stop.head[: stop.at])
    if not found or not stop.token[:1].isupper():
        return None
    message = f"`{found[1]}` is a line of its own: it can't stand within another."
    help = f"name its result first: `let x = {found[1]} {stop.token} {{ … }}`, and go on with `x`"
    return stop.complain("E0101", message, help, span=found.span(1))


_CONTINUES = re.compile(
    r"[ \t]*(?:#[^\n]*)?\r?\n\s*(limit|then|as|in|within|unless|asc|desc|of|by)\b"
)


def _broken_line(stop: Stop) -> Complaint | None:
    """A line that should go on: only some words at the next one's beginning let it."""
    found = _CONTINUES.match(stop.text, len(stop.text[: stop.place].rstrip()))
    if found is None:
        return None
    low = stop.part.head[0]
    message = f"The line ends before `{found[1]}`, which belongs to it."
    help = f"write `{found[1]}` behind it, or put all in round brackets"
    span, fix = (
        (found.start(1) - low, found.end(1) - low),
        (found.start() - low, found.start(1) - low, " "),
    )
    complaint = stop.complain("E0101", message, help, span=span, fix=fix)
    return complaint if stop.works(complaint.edits) else None


# --- everything else -------------------------------------------------------------------------

_SIGNS = "+ - * / .. ?? . ?. ( [ in not can and or of reaches drops below ] ) ? |"
_OPERATORS = frozenset([*_SIGNS.split(), "a comparison"])
_IN_WORDS = {"on": "handler", "every": "schedule", "fn": "function", "extend": "entity"}


def _expectations(expected: frozenset[str]) -> str:
    """`a name or `{``; empty where so much could stand there that a list helps nobody."""
    words = expected - _OPERATORS
    if {"where", "limit"} <= words:
        return "an operator or the end of the statement"
    shown = sorted(
        (f"`{word}`" if " " not in word and not word.startswith("`") else word for word in words),
        key=lambda word: (word in ("a new line", "the end"), not word.startswith("`"), word),
    )
    if "a new line" in shown and "the end" in shown:
        shown.remove("the end")
    if "a new line" in shown and len(shown) > 1 and "`,`" in shown:
        shown.remove("a new line")
    if not 0 < len(shown) <= 8:
        return ""
    return " or ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))


def _context(stop: Stop) -> str:
    """What was being read: `in this `let``, `in this plan`."""
    first = _WORD.match(stop.head.lstrip())
    kind = _IN_WORDS.get(stop.keyword, stop.keyword)
    if first and stop.part.depth and first[0] in _known_words(stop):
        return f"in this `{first[0]}`"
    return f"in this {kind}" if kind else "in this expression"


def _unexpected(stop: Stop) -> Complaint:
    expected = _expectations(stop.expected)
    help = f"expected {expected}" if expected else None
    if stop.token:
        shown = stop.token if len(stop.token) <= 40 else stop.token[:37] + "…"
        message = f"`{shown}` can't stand here {_context(stop)}."
    else:
        message = f"Something is missing at the end of the line {_context(stop)}."
    if stop.token in RESERVED and "a name" in stop.expected:
        message = f"`{stop.token}` is a word of the language and can't be a name here."
        return stop.complain("E0133", message, help)
    return stop.complain("E0101", message, help)


def _no_block(stop: Stop) -> Complaint | None:
    if "{" not in stop.expected or "a name" in stop.expected or stop.token:
        return None
    if stop.part.head[1] < stop.part.end:
        return None
    place = len(stop.head[: stop.at].rstrip())
    message = f"A `{{` is missing at the end of this line {_context(stop)}."
    return stop.complain("E0132", message, fix=(place, place, " {"), certain=False, mend=False)


_RULES: tuple[Callable[[Stop], Complaint | None], ...] = (
    _broken_line,
    _foreign_word,
    _order_by,
    _returns,
    _quoted_name,
    _next_statement,
    _inner,
    _open_end,
    _tiers,
    _lone_word,
    _habit,
    _angled,
    _branch,
    _loop,
    _let,
    _money,
    _unit,
    _changes,
    _compared,
    _assignment,
    _misspelt,
    _arrow,
    _entry,
    _colon,
    _no_block,
)
