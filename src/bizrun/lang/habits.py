"""What authors bring along from other languages, and how it is written here.

Each habit is looked for where the parser stopped, in the line of that place.
"""

from __future__ import annotations

import re

from ..diagnostics import Diagnostic, Fix, Span
from .habit_form import CODE, PLAN, SHAPE, TEST, Habit, brought
from .habits_expressions import OPERATORS, QUERIES
from .habits_prices import PRICES
from .mend import Complaint, Edit


def _parameter(first: str, second: str) -> str:
    """A parameter that was written with its type before or behind it."""
    swapped = first[:1].isupper() or first in ("text", "number", "integer", "bool", "money", "time")
    return f"{second}: {first}" if swapped else f"{first}: {second}"


def _slug(title: str) -> str:
    """A title as the name of a declaration."""
    return re.sub(r"\W+", "_", title.lower()).strip("_") or "name"


# What may stand before a bracket, and is no action.
_WORDS = (
    "expect|if|else|match|return|reject|log|let|record|for|advance|at|after|wait|unless|where|when"
    "|and|or|not|in|first|then|print|while|until|each|add|remove|update|delete|emit"
)
_EVENTS = r"[A-Z][\w.*]*(?:\s+or\s+[A-Z][\w.*]*)*"
_FIELDS = r"\([\w\s,]*\)"
# What schema languages write before the name that a field had.
_FORMER = r"(?:@?renamed(?:[ _]?from)?|@map|formerly|previously|aka)"
NO_DOT = "An event is a noun and a verb, with a dot between."
NO_TRY = "There is no `try`: a handler is all or nothing."
INSTEAD_OF_TRY = (
    "the result of an action says how it went: `let payment = charge { … }`, then "
    "`payment.status`; ask before you create (`if User(id) == none`), or `upsert`"
)

_STATEMENTS = (
    brought(r"\b(?P<x>(?:await\s+)?(?:sleep|delay)\s*\(\s*(\d+\s*\w+)\s*\))",
            "What comes later stands in a block.", "write `after {2} {{ … }}`", where=CODE),
    brought(r"\bwait\s+(?:for\s+)?(\d+\s*[a-z]+)\s*\}?\s*$", "What comes later stands in a block.",
            "write `after {1} {{ … }}`", where=CODE),
    brought(r"\bwait\s+until\s+(.+?)\s*\}?\s*$", "What comes at a time stands in a block.",
            "write `at {1} {{ … }}`", where=CODE),
    brought(r"\bwait\s+for\s+[A-Z][\w.]*.*?\s(?P<x>until|for|timeout|max)\s+(?=[\w.])",
            "How long is waited stands behind `within`, as a duration.",
            "write `wait for E as e where … within 3 days`", where=CODE),
    brought(r"\bwait\s+for\s+(?P<x>(?:any|one|either|race)(?:\s+of)?\s*\([^()]*\)?)",
            "Of several events the first is waited for.", "write `wait for A or B as e`",
            where=CODE),
    brought(r"\bwait\s+for\s+(?P<x>all\b.*|[A-Z][\w.]*\s+and\b).*",
            "A wait is over with one event.",
            "wait for one after the other, or count on a row what has come", where=CODE),
    brought(r"\bwait\s+for\s+(?P<x>(?:condition\s+)?[a-z_][\w.]*\s*[=!<>]=?.*)",
            "A wait is for an event.",
            "a `trigger` tells with one that a condition turned true", where=CODE),
    brought(r"\b(?P<x>let\s+\w+\s*=\s*)wait\s+for\b.*\sas\s",
            "What is waited for is named with `as`.", fix="", where=CODE),
    brought(r"\bretry\s+(\d+)\s+times?\b.*", "What is sent is sent again by itself.",
            "where an answer decides, look at it: `let reply = …`, `if not reply.ok {{ … }}`",
            where=CODE),
    brought(r"\b(?P<x>repeat\s+(\w+)\s+times?)\b", "A loop is written `for each n in …`.",
            fix="for each n in 1..{2}", where=CODE),
    brought(r"^\s+(?P<x>every\s+\d+\s+\w+|on\s+[A-Z][\w.]*\s).*",
            "A handler or schedule is a declaration of its own.",
            "write it outside of others; within one there are `after` and `wait for`", where=CODE),
    brought(r"\bafter\s+[^{}]+?\s(?P<x>(?:if|unless)\s+(?![A-Z*])([^{}]+?))\s*(?=\{|$)",
            "A condition is asked when the time has come.",
            "write `after … {{ if {2} {{ … }} }}`", where=CODE),
    brought(r"\bfor\s+each\s+\w+(?P<x>\s*,\s*\w+)\s+in\b", "A loop has one name.",
            "go through `0..len(list) - 1` where its number is needed", where=CODE),
    brought(r"\b(?:update|set)\s+([\w.]+)\.(\w+)\s*(?:=|to)\s*([^{}=]+?)\s*\}?$",
            "State is changed by `update`.", "write `update {1} {{ {2}: {3} }}`", where=CODE),
    brought(r"\b(?:transition|move|goto)\s+([\w.]+)\s+to\s+(\"[^\"]*\")",
            "State is changed by `update`.", "write `update {1} {{ field: {2} }}`", where=CODE),
    brought(r"\bemit\s+[A-Z][\w.]*\s*(?:\{[^{}]*\})?\s*(?P<x>after\s+(\d+\s*\w+))",
            "What comes later stands in a block.", "write `after {2} {{ emit … }}`", where=CODE),
    brought(r"\breject\s+(?P<x>(\"[^\"]*\")\s+(if|when|unless)\s+(.+?))\s*\}?$",
            "A condition stands before what it decides.", "write `if {4} {{ reject {2} }}`",
            where=CODE),
    brought(r"\b(?P<x>reject\s+if)\s+(.+?)\s*(\"[^\"]*\").*",
            "A condition stands before what it decides.", "write `if {2} {{ reject {3} }}`",
            where=CODE),
    brought(r"\b(?P<x>require|ensure|check|guard)\s*\(?\s*([^,]+?)\s*,\s*(\"[^\"]*\").*",
            "What has to hold is asked with `if`.", "write `if not ({2}) {{ reject {3} }}`",
            where=CODE),
    brought(r"\b(?P<x>return\s+)(?=reject\b)", "`reject` ends the handler by itself.", fix="",
            where=CODE),
    brought(r"(?:^|[{}])\s*(?P<x>(?:call|do|run|perform|execute)\s+)[a-z][\w.]*\s*\{",
            "An action is its name alone.", fix="", where=CODE),
    brought(r"^\s*(?:\}\s*)?(?:else\s+)?if\b(?!.*\bthen\b).*?[^\s{(]\s+"
            r"(?P<x>(?:log|emit|reject|update|create|delete|email|notify|charge|record)"
            r"\b(?!\s*[=.,)]).*?)\s*$",
            "The statements of an `if` stand in braces.", fix="{{ {x} }}", where=CODE,
            code="E0128"),
    brought(r"\bif\b.*?(?P<x>\bthen\s*)\{", "The statements of an `if` follow its condition.",
            "leave out `then`: it is for values, as in `if a then b else c`", fix="", where=CODE),
    brought(r"\bnew\s+(?=[A-Z])", "There is no `new`; write `create`.", fix="create ", where=CODE),
    brought(r"\b(create|upsert)\s+([A-Z]\w*)\s*\(([^()]*)\)", "Fields stand in braces.",
            fix="{1} {2} {{ {3} }}", where=CODE),
    brought(r"\b(?:emit|wait\s+for|unless|expect\s+(?:no\s+|\d+\s+)?event)\s+"
            r"(?P<x>([A-Z]\w*)\s+([a-z]\w*))\s*(?=\{|\}|$|as\b|where\b|within\b)", NO_DOT,
            fix="{2}.{3}", where=CODE),
    brought(r"""\bemit\s+"([\w.]+)\"""", "An event is named bare.", fix="emit {1}", where=CODE),
    brought(r"\bemit\s+([\w.]+)\s*\(([^()]*)\)", "The payload stands in braces.",
            fix="emit {1} {{ {2} }}", where=CODE),
    brought(r"^\s*(?P<x>([\w.]+)\.(\w+)\s*=(?!=)\s*(.+?))\s*\}?$", "State is changed by `update`.",
            "write `update {2} {{ {3}: {4} }}`", where=CODE),
    brought(r"\{\s*(?P<x>([\w.]+)\.(\w+)\s*=(?!=)\s*(.+?))\s*\}?$", "State is changed by `update`.",
            "write `update {2} {{ {3}: {4} }}`", where=CODE),
    brought(r"(?:^|\{)\s*(?P<x>wait|sleep|skip|forward)\s+(?=\d)",
            "A test's time goes on with `advance`.",
            fix="advance", where=TEST),
    brought(r"\badvance\s+(?P<x>until|till)\s", "A test's time goes on to an instant with `to`.",
            fix="to", where=TEST),
    brought(r"\badvance\s+(?P<x>by\s+|for\s+)", "A test's time goes on with `advance`.", fix="",
            where=TEST),
    brought(r"(?:^|\{)\s*(?P<x>mock|stub|given|fake|when)\s+(?=[a-z]\w*\.[a-z]\w*\b)",
            "What a service says in a test is an `answer`.", fix="answer", where=TEST),
    brought(r"\bexpect\s+(?P<x>reply\s+)\[.*", "A list is compared.",
            "write `expect reply == […]`", fix="reply == ", where=TEST),
    brought(r"\bexpect\s+(?P<x>none|not|zero)\s+(?=[a-z]\w*\s*(?:\{|\}|$))",
            "What did not happen is expected with `no`.", fix="no", where=TEST),
    brought(r"\b(?P<x>let\s+(\w+)\s*=\s*(?:await|wait)(?:\s+for)?\s+([A-Z]\w*(?:\.\w+)+))",
            "What is waited for is named with `as`.", fix="wait for {3} as {2}", where=CODE),
    brought(r"\b(?P<x>await|wait)\s+(?=[A-Z]\w*\.)", "An event is waited for.", fix="wait for",
            where=CODE),
    brought(r"=\s*(?P<x>await\s+)", "A handler waits by itself: leave the `await` out.", fix="",
            where=CODE),
    brought(r"\bwait\s+for\b.*?\b(?P<x>(within\s+\d[^{}]*?)\s+(as\s+\w+))\s*\}?$",
            "`within` stands at the end.", fix="{3} {2}", where=CODE),
    brought(r"\bwait\s+for\b.*?\b(?P<x>(within\s+\d[^{}]*?)\s+(where\s+.+?))\s*\}?$",
            "`within` stands behind `where`.", fix="{3} {2}", where=CODE),
    brought(r"\bafter\s+[^{}]+?\s(?P<x>until|except|where|if\s+not)\s+(?=[A-Z*])",
            "What keeps it from happening stands behind `unless`.", fix="unless", where=CODE),
    brought(r"(?:^|[{}])\s*(?P<x>publish|send|fire|raise|dispatch|trigger|throw|produce)\s+"
            r"(?=[A-Z]\w*\.\w)", "An event is sent with `emit`.", fix="emit", where=CODE),
    brought(r"\b(?P<x>remove)\s+[\w.]+\s*(?=\}|$)", "A row is taken away with `delete`.",
            fix="delete", where=CODE),
    brought(r"\breject\s*(?=\}|$)", "A refusal says why.", 'write `reject "…"`', where=CODE),
    brought(r"\breturn\s+(?P<x>[^\W\d]\w*\s*:\s*[^{}]+?)\s*\}?$", "Fields stand in braces.",
            fix="{{ {x} }}", where=CODE),
    brought(r"\blet\s+\w+(?P<x>\s*:\s*[\w\[\]?]+)\s*=", "A name has the type of its value.", fix="",
            where=CODE),
    brought(r"[{,]\s*(?P<x>\.\.|\*\*|…)(?=[^\W\d])", "Fields are spread with `...`.", fix="...",
            where=CODE),
    brought(r"\bupdate\s+([\w.]+)\s+(?P<x>(?:set\s+)?(\w+)\s*[=:]\s*([^{},]+?))\s*\}?$",
            "New values stand in braces.", fix="{{ {3}: {4} }}", where=CODE),
    brought(r"\b(?:wait|sleep|delay|pause|in)[\s(]+(\d+\s*[a-z]+)\s*\)?",
            "What comes later stands in a block.", "write `after {1} {{ … }}`", where=CODE),
    brought(r"\bunless\s+(.+?)\s*\{", "There is no `unless` of a condition; write `if not`.",
            fix="if not ({1}) {{", where=CODE),
    brought(r"\b(?:break|continue)\b", "A loop's rounds are independent: none ends the others.",
            "say with `where` which items it goes through", where=CODE),
    brought(r"\b(?:try|catch|except|finally)\b", NO_TRY,
            INSTEAD_OF_TRY.replace("{", "{{").replace("}", "}}"), where=CODE),
    brought(rf"\b(on|for|unless)\s+(?P<x>({_EVENTS})\s+as\s+(\w+)\s*({_FIELDS}))",
            "The names of fields stand before `as`.", fix="{3}{5} as {4}", where=CODE),
    brought(rf"\b(on|for|unless)\s+(?P<x>({_EVENTS}(?:\s*{_FIELDS})?)\s+(where\s+.+?)\s+as\s+"
            r"(\w+))(?=\s*(?:\{|$|within\b))", "`as` stands before `where`.",
            fix="{3} as {5} {4}", where=CODE),
    brought(r"\bfor\s*\(\s*(?:let|const|var)?\s*(\w+)\s+(?:of|in)\s+([^()]*?)\s*\)",
            "A loop is written `for each {1} in …`.", fix="for each {1} in {2}", where=CODE),
    brought(r"\bfor\s+each\s+(\w+)\s+(?P<x>of|from)\b", "A loop is written `for each {1} in …`.",
            fix="in", where=CODE),
    brought(r"""\b(?P<x>[fbru])(?=")""",
            "Each text may hold `{{expressions}}`: leave the `{x}` out.", fix="", where=CODE),
    brought(r"\bcase\s+(?=\S.*=>)", "A case of `match` is its value alone.", fix="", where=CODE),
    brought(r"\bcase\s+.+?:", "A case of `match` is written `value => {{ … }}`.", where=CODE),
    brought(r"""("[^"]*"|\d+)\s*(?P<x>\|)\s*(?=["\d])""", "Cases are joined by commas.", fix=",",
            where=CODE),
    brought(r"=>\s*(?P<x>(?:log|emit|create|update|delete|reject|email|notify|return)\b[^{}]*)$",
            "The statements of a case stand in braces.", fix="{{ {x} }}", where=CODE),
    brought(r"\bexpect\s+(?P<x>one|two|three|an?)\s+(\w+)",
            "What is expected is counted in figures.",
            fix=lambda found: {"two": "2", "three": "3"}.get(found["x"], "1"),
            where=TEST),
    brought(r"\bexpect\s+(?P<x>no\s+([A-Z]\w*(?:\s+where\s+.+?)?))\s*\}?$",
            "`no` is for what happened; rows are counted.", fix="count({2}) == 0",
            where=TEST),
    brought(r"^\s*(?P<x>on|when)\s+[A-Z]\w*(?:\.\w+)+", "A test sends an event with `emit`.",
            fix="emit", where=TEST),
    brought(r"\bexpect\s+(?P<x>exactly\s+|only\s+)\d", "A number is exact as it is.", fix="",
            where=TEST),
    brought(r"^\s*(?P<x>payments?\s+(?:fails?|failed|failing|decline[sd]?))\b", "Payments `fail`.",
            fix="payments fail", where=TEST),
    brought(r"^\s*(?P<x>payments?\s+(?:succeeds?|succeeded|works?|pass(?:es)?))\b",
            "Payments `succeed`.",
            fix="payments succeed", where=TEST),
    brought(r"(?:^|\{)\s*(?P<x>now|today|time|date|on)\s+(?=\d{4}-)",
            "A test says what time it is with `at`.",
            fix="at ", where=TEST),
    brought(r"([\w.]+)\.(?:add|push|append)\(\s*([^()]*)\s*\)",
            "What is in a list is changed by `add`.",
            fix="add {2} to {1}", where=CODE),
    brought(r"([\w.]+)\.remove\(\s*([^()]*)\s*\)", "What is in a list is changed by `remove`.",
            fix="remove {2} from {1}", where=CODE),
    brought(r"\bemit\s+(?P<x>([\w.]+)\s*\()", "The payload stands in braces.",
            "write `emit {2} {{ field: value }}`", where=CODE),
    brought(r"\bassert\s+", "There is no `assert`; write `expect`.", fix="expect ", where=CODE),
    brought(r"\bgiven\s+now\s*=\s*", "A test says what time it is with `at`.", fix="at ",
            where=TEST),
    brought(r"\bexpect\s+(?:\d+\s+)?(\w+)\s+(?P<x>(to|for|of|with)\s+(.+?))\s*\}?$",
            "What is expected of it stands in braces.", "write `{1} {{ field: value }}`",
            where=TEST),
    brought(r"\bsend\s+(?P<x>(?:an?\s+)?(\w+))", "An action is its name alone.",
            "write `{2} {{ … }}`", where=CODE),
    brought(rf"(?:^|[{{}}]|\blet\s+\w+\s*=)\s*(?P<x>(?!(?:{_WORDS})\b)([a-z]\w*)\s*\((?!.*=>).*\))",
            "An action takes its fields in braces.", "write `{2} {{ name: value }}`",
            where=CODE - {"fn"}),
    brought(r"(?:^|\{)\s*(?P<x>email|notify|slack|charge|refund|credit|transfer|subscribe|cancel"
            r"|webhook|http|invoice|record_usage|change_plan|pause|resume)\s+(?![{=:.,)])\S.*",
            "An action takes its fields in braces.", "write `{x} {{ name: value }}`", where=CODE),
)  # fmt: skip

_UNIT_OF = {"daily": "day", "hourly": "hour", "weekly": "week", "monthly": "month"}
# A statement that is nothing but a value.
_BARE_VALUE = (
    r"(?:^|\{)\s*(?P<x>(?!\s|(?:let|if|else|for|match|return|fn)\b)"
    r"""(?:"(?:[^"\\]|\\.)*"|[=!<>]=|[^{}"=])+?)\s*(?:\}|$)"""
)
_DECLARATIONS = (
    brought(rf"\s(?P<x>{_FORMER}\s*\(?\s*\"?(\w+)\"?\s*\)?)",
            "What a field was called before is said by `was`.", fix="was {2}", where=SHAPE),
    brought(r"^\s*on\s+(?P<x>([A-Z]\w*)\s+([a-z]\w*))\s*(?=[({]|as\b|where\b)", NO_DOT,
            fix="{2}.{3}", where=frozenset(("on",))),
    brought(r"^\s*event\s+(?P<x>([A-Z]\w*)\s+(?!key\b)([a-z]\w*))\s*(?=\{|key\b|$)", NO_DOT,
            fix="{2}.{3}", where=frozenset(("event",))),
    brought(r"^\s*trigger\s+(?P<x>([A-Z]\w*)\s+(?!for\b)([a-z]\w*))\s+(?=for\b)", NO_DOT,
            fix="{2}.{3}", where=frozenset(("trigger",))),
    brought(r"^\s*lifecycle\s+(?P<x>([A-Z]\w*)\s+([a-z]\w*))\s*(?=\{|$)",
            "A lifecycle is of an entity's field, with a dot between.", fix="{2}.{3}",
            where=frozenset(("lifecycle",))),
    brought(r"\b\w+\s+(?P<x>\d+(?:\s*\|\s*\d+)+)", "A choice is one of texts.",
            "write `integer`, and refuse in a handler what it can't be", where=SHAPE),
    brought(r"(?P<x>(?:->|\brefs?|\breferences?|\breference\s+to|\bbelongs_to)\s*([A-Z]\w*))",
            "A reference is written as the entity's name.", fix="{2}", where=SHAPE),
    brought(r"\b(?P<x>(\w+)\s+(?:nullable|optional))\b", "What may be none has a `?`.",
            fix="{2}?", where=SHAPE),
    brought(r"(?P<x>initial|begins?(?:\s+with)?|starts(?:\s+with)?|first)\s*:?\s*(?=\")",
            "A lifecycle begins with `start`.", fix="start ", where=frozenset(("lifecycle",))),
    brought(r"\{\s*(?P<x>(for\s+\d+\s+\w+|once)\s+(\d[\d._]*(?:%|\s+[A-Z]{3})\s+off))",
            "What is taken off stands first.", fix="{3} {2}", where=frozenset(("coupon",))),
    brought(r"\bon\s+[\w.*]+(?P<x>\s*(?:,|\||\band\b|&)\s*)(?=[A-Z*])",
            "Several events are joined by `or`.", fix=" or ", where=frozenset(("on", "lifecycle"))),
    brought(r"^\s*on\s+(?P<x>\"([\w.*]+)\")", "An event is named bare.", fix="{2}",
            where=frozenset(("on",))),
    brought(r"^\s*(?P<x>on)\s+(?:mon|tues|wednes|thurs|fri|satur|sun)day\s*",
            "A schedule begins with `every`.", fix="every", where=frozenset(("on",))),
    brought(r"^\s*on\s+[\w.*]+\s+(?P<x>([a-z]\w*))\s*(?=\{|where)",
            "The payload is named with `as`.", fix="as {x}", where=frozenset(("on",))),
    brought(_BARE_VALUE, "A function's value is returned.", fix="return {x}",
            where=frozenset(("fn",))),
    brought(r"(?P<x>=>)", "A function's value stands behind `=`.", fix="=",
            where=frozenset(("fn",))),
    brought(r"[(,]\s*(?P<x>(\w+)\s+(\w+\??))\s*[,)]", "A parameter's type stands behind a colon.",
            fix=lambda found: _parameter(found[2], found[3]), where=frozenset(("fn",))),
    brought(r"^\s*fn\s+\w+\s*\([^()]*?\b(?P<x>[a-z_]\w*)\s*(?=[,)])",
            "The parameter `{x}` has no type.",
            "write it behind a colon, as in `{x}: number`", where=frozenset(("fn",))),
    brought(r"^\s*(on|every|test|fn)\b.*(?P<x>:)\s*$", "What belongs to it stands in braces.",
            "write `{1} … {{`, and `}}` behind the last line"),
    brought(r"(\w+)\s*\[\s*\]", "A list's type is its element's in brackets.", fix="[{1}]",
            where=SHAPE),
    brought(r"\b(?:List|Array|Set|list|array)\s*[<\[]\s*(\w+)\s*[>\]]",
            "A list's type is its element's in brackets.", fix="[{1}]", where=SHAPE),
    brought(r"\b(?:Map|Record|Dict|map|record|dict)\s*[<\[]\s*\w+\s*,\s*(\w+)\s*[>\]]",
            "A map's type is that of its values in braces.", fix="{{text: {1}}}", where=SHAPE),
    brought(r"\b(?:Optional|Maybe|Option)\s*[<\[]\s*(\w+)\s*[>\]]", "What may be none has a `?`.",
            fix="{1}?", where=SHAPE),
    brought(r"""\benum\s*[({\[]\s*("[^"]*"(?:\s*,\s*"[^"]*")*)\s*[)}\]]""",
            "A choice is its texts, with `|` between.",
            fix=lambda found: " | ".join(re.findall(r'"[^"]*"', found[1])), where=SHAPE),
    brought(r"\benum\b.*", "A choice is its texts, with `|` between.", 'write `"a" | "b"`',
            where=SHAPE),
    brought(r"(?:^|,|\{)\s*\w+\s+(?P<x>[a-z]\w*(?:\s*\|\s*[a-z]\w*)+(?:\s*=\s*[a-z]\w*)?)",
            "A choice is its texts, with `|` between.",
            fix=lambda found: re.sub(r"[^\W\d]\w*", lambda word: f'"{word[0]}"', found["x"]),
            where=SHAPE),
    brought(r"(?:\[\s*|(?:^|,)\s*\w+\s+)\{\s*(?P<x>\w+\s+\w+\??(?:\s*,\s*\w+\s+\w+\??)*)\s*\}",
            "A shape has a name of its own.",
            "declare `type Item {{ {x} }}`, and write `Item` here", where=SHAPE),
    brought(r"\b(\w+)\s*\|\s*(?:null|none|undefined|nil)\b", "What may be none has a `?`.",
            fix="{1}?", where=SHAPE),
    brought(r"\b(\w+)\?\s*:?\s*(\w+)", "The `?` of what may be none stands behind its type.",
            fix="{1} {2}?", where=SHAPE),
    brought(r"\b(?:optional|nullable)\s+(\w+)", "What may be none has a `?`.", fix="{1}?",
            where=SHAPE),
    brought(r"\s*\b(?:not\s+null|required)\b",
            "Every field has a value, unless its type has a `?`.", fix="", where=SHAPE),
    brought(r"\bprimary\s+key\b", "A key is marked `key`.", fix="key", where=SHAPE),
    brought(r"\b(?P<x>default)\s+\S", "A default stands behind `=`.", fix="=", where=SHAPE),
    brought(r"^\s*on\s+.*?\s(?P<x>if|when)\s", "A handler's condition stands behind `where`.",
            fix="where", where=frozenset(("on",))),
    brought(r"\brole\s+(\w+)\s+(?P<x>can\s+([\w.*, ]+?))\s*$", "What a role can stands in braces.",
            fix="{{ {x} }}", where=frozenset(("role",))),
    brought(r"(?P<x>can\s*:\s*\[\s*\"([\w.*]+)\"(?:\s*,\s*\"[\w.*]+\")*\s*\])",
            "What a role can stands without quotes.",
            fix=lambda found: "can " + ", ".join(re.findall(r'"([^"]*)"', found[0])),
            where=frozenset(("role",))),
    brought(r"""("[^"]*")\s+(?P<x>or)\s+(?=")""", "A choice is its texts, with `|` between.",
            fix="|",
            where=SHAPE),
    brought(r"^\s*metric\b.*?\s(?P<x>daily|hourly|weekly|monthly|each\s+(?:hour|day|week|month))\b",
            "How often a metric is taken stands behind `every`.",
            fix=lambda found: f"every {_UNIT_OF.get(found['x']) or found['x'].split()[-1]}",
            where=frozenset(("metric",))),
    brought(r"\boff\s+(?P<x>)(?=\d+\s+(?:day|week|month|year)s?\b)",
            "How long a coupon holds stands behind `for`.",
            fix="for ", where=frozenset(("coupon",))),
    brought(r"\bonly\s+(?P<x>\w+)\s*(?=[},]|$)", "What a coupon is for stands in brackets.",
            fix="[{x}]", where=frozenset(("coupon",))),
    brought(r"\b(?P<x>(?:max(?:imum)?|limit|up\s+to)\s+(\d+)(?:\s+(?:times|uses))?)",
            "A coupon's uses are bounded.",
            fix="at most {2} times", where=frozenset(("coupon",))),
    brought(r"\bat\s+most\s+(\d+)(?P<x>)\s*(?=[},]|$)", "A coupon is used so many times.",
            fix=" times", where=frozenset(("coupon",))),
    brought(r"(?:clusive|%)\s+(?P<x>if|where|for)\b", "A tax's condition stands behind `when`.",
            fix="when", where=frozenset(("tax",))),
    brought(r"\{\s*(?P<x>rate\s*:?\s*)\d", "A tax begins with its rate.", fix="",
            where=frozenset(("tax",))),
    brought(r"\bvariant\s+\w+\s*(?P<x>[:=])", "A variant's value stands behind its name.", fix="",
            where=frozenset(("experiment",))),
    brought(r"[{,]\s*(?P<x>)(?!variant\b)\w+\s*[:=]?\s*\d", "Each variant says so.",
            "write `variant`",
            where=frozenset(("experiment",))),
    brought(r"^\s*const\s+\w+(?P<x>\s*:\s*[\w\[\]?]+)\s*=", "A constant has the type of its value.",
            fix="", where=frozenset(("const",))),
    brought(r",(?P<x>\s*,)", "One comma separates two.", fix=""),
    brought(r"^\s*(?:plan|addon)\s+(?P<x>\"([^\"]+)\")(?=\s*\{)", "A name stands before the title.",
            fix=lambda found: f"{_slug(found[2])} {found['x']}", where=PLAN),
    brought(r"^\s*(?:plan|addon|entity|event|type|meter|coupon|tax|dunning|template|role|connect)"
            r"\s+[\w.]+(?P<x>\s*[:=]\s*)(?=[\"{])",
            "Nothing stands between a name and what it names.",
            fix=" "),
    brought(r"\b(?P<x>expires?(?:\s+(?:on|at))?|till|valid\s+until|ends?(?:\s+on)?|before)"
            r"\s+(?=\d{4}-)",
            "The last day of a coupon stands behind `until`.", fix="until",
            where=frozenset(("coupon",))),
    brought(r"\b(?P<x>in)\s+(?=[KMGTP]?B\b)", "What a meter counts in stands behind `unit`.",
            fix="unit",
            where=frozenset(("meter",))),
    brought(r"^\s*on\s+([\w.]+)\s*\([^(){}]*?(?P<x>\b(\w+)\s*(?:\bas\b|:)\s*\w*)",
            "What stands in brackets are fields of the event, by their names.",
            "write `on {1} as e {{ … }}` and `e.{3}`, or `let` in its braces",
            where=frozenset(("on",))),
    brought(r"^\s*test\s+(?P<x>[^\W\d]\w*)", "A test's name is a text.", fix='"{x}"',
            where=TEST),
    brought(r"^\s*api\s+(?P<x>)\"", "An api begins with its method.", fix="GET ",
            where=frozenset(("api",))),
    brought(r"^\s*api\s+[A-Z]+\s+(?P<x>/[\w/{}:-]*)", "A path is a text.", fix='"{x}"',
            where=frozenset(("api",))),
    brought(r"^\s*trigger\s+[\w.]+\s+(?P<x>)when\b", "A trigger says whom it watches.",
            "write `trigger Noun.verb for Entity when …`", where=frozenset(("trigger",))),
    brought(r"^\s*trigger\s+([\w.]+)\s.*?(?P<x>\{.*)",
            "A trigger only tells that something is so.",
            "what follows stands in a handler: `on {1} {{ … }}`", where=frozenset(("trigger",))),
    brought(r"\b(?P<x>reach|hits?|exceeds?|becomes|crosses|(?:rises|goes|climbs)\s+(?:to|above))\b",
            "A trigger's amount `reaches` its mark.", fix="reaches", where=frozenset(("trigger",))),
    brought(r"\b(?P<x>(?:falls|goes|sinks|drops)\s+(?:to|under|below)|drops?\s+above"
            r"|drop\s+below)\b",
            "A trigger's amount `drops below` its mark.", fix="drops below",
            where=frozenset(("trigger",))),
    brought(r"\bonce\s+(?P<x>an?|each|every|in\s+a)\s+period\b",
            "A trigger is told anew `once per period`.", fix="per", where=frozenset(("trigger",))),
    brought(r"(?P<x>(?!any\b)([^\W\d]\w*)\s*->\s*([^\W\d]\w*))", "A state is a text.",
            fix='"{2}" -> "{3}"', where=frozenset(("lifecycle",))),
    brought(r"(?P<x>(?:\"[^\"]*\"\s*[,|]\s*)+)\"[^\"]*\"\s*->", "An arrow leads from one state.",
            "write a line for each of them; `any` is for all", where=frozenset(("lifecycle",))),
    brought(r"(?P<x>\*)\s*->", "Every state is `any`.", fix="any", where=frozenset(("lifecycle",))),
    brought(r"->\s*\"[^\"]*\"\s+(?P<x>when|if|by)\b", "What changes a state stands behind `on`.",
            fix="on", where=frozenset(("lifecycle",))),
    brought(r"(?P<x>[^\W\d]\w*)\s*->", "A state is a text.", fix='"{x}"',
            where=frozenset(("lifecycle",))),
    brought(r"->\s*(?P<x>[^\W\d]\w*)", "A state is a text.", fix='"{x}"',
            where=frozenset(("lifecycle",))),
    brought(r"\bcount\s+(?P<x>of\s+)(?=[A-Z*])", "`count` takes its events alone.", fix="",
            where=frozenset(("meter",))),
    brought(r"\b(?:sum|max|min|last|average|unique)\s+\w+\s+(?P<x>from|in|on)\s+(?=[A-Z*])",
            "What is counted is a field `of` events.", fix="of", where=frozenset(("meter",))),
    brought(r"\{\s*(?P<x>(?!(?:sum|max|min|last|average|unique|count)\b)(\w+)\s+of\s)",
            "A meter says how it counts.",
            "write `sum {2} of …`, `max`, `average`, `unique` or `last`",
            where=frozenset(("meter",))),
    brought(r"\b(sum|max|min|last|average|unique|count)\s*\(\s*([\w.]*)\s*\)",
            "What a meter takes stands without brackets.", fix="{1} {2}",
            where=frozenset(("meter",))),
    brought(r"\boff\s+(\d[\d._]*(?:%|\s+[A-Z]{{3}}))", "What is taken off stands first.",
            fix="{1} off", where=frozenset(("coupon",))),
    brought(r"\b(?:retry|retries)\s+(\d+)(?:\s+times)?", "A dunning says when it tries again.",
            "write `retry after 3 days, 7 days`, or `retry backoff 1 day doubling {1} times`",
            where=frozenset(("dunning",))),
)  # fmt: skip

_EVERY = frozenset(("every",))
_DAY = "(?:mon|tues|wednes|thurs|fri|satur|sun)days?"
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september",
            "october", "november", "december")  # fmt: skip


def _cron_of(days: str, hour: str | None, minute: str | None) -> str:
    """Days of the week, by their names, and a time of day as a cron line."""
    names = ",".join(name[:3] for name in re.findall(_DAY, days))
    return f'"{int(minute or 0)} {int(hour or 0)} * * {names}"'


_SCHEDULES = (
    brought(r"\bat\s+(?P<x>\"(\d\d?:\d\d)\")", "A time of day stands without quotes.", fix="{2}",
            where=_EVERY),
    brought(r"^\s*every\s+\w+\s+(?P<x>)(?=\d\d?:\d\d)", "A time of day stands behind `at`.",
            fix="at ", where=_EVERY),
    brought(r"\bat\s+(?P<x>(\d\d?))(?=\s*\{)", "A time of day has minutes.",
            fix=lambda found: f"{int(found[2]):02}:00", where=_EVERY),
    brought(r"\bon\s+(?:the\s+)?\d+(?P<x>st|nd|rd|th)\b", "A day of the month is a number.", fix="",
            where=_EVERY),
    brought(rf"^\s*every\s+(?P<x>({_DAY}(?:\s*(?:,|and|or|&)\s*{_DAY})+)"
            r"(?:\s+at\s+(\d\d):(\d\d))?)",
            "Several days of the week are a cron line.",
            fix=lambda found: _cron_of(found[2], found[3], found[4]), where=_EVERY),
    brought(rf"\bon\s+(?P<x>({'|'.join(_MONTHS)})\s+(\d\d?))\b", "A day of the year is in figures.",
            fix=lambda found: f"{_MONTHS.index(found[2]) + 1:02}-{int(found[3]):02}", where=_EVERY),
    brought(r"\bin\s+(?P<x>([A-Z]\w*(?:/\w+)+|UTC|[A-Z]{3,4}))\b", "A time zone is a text.",
            fix='"{2}"', where=_EVERY),
    brought(r"^\s*every\s+(?P<x>cron\s+)(?=\")", "A cron line is its text alone.", fix="",
            where=_EVERY),
    brought(r"^\s*every\s+(?P<x>[\d*/,-]+(?:\s+[\w*/,#-]+){4})\s*(?=\{|at\b|in\b|catch\b)",
            "A cron line is a text.", fix='"{x}"', where=_EVERY),
    brought(r"\bon\s+(?P<x>(?:the\s+)?day\s+)(?=\d)", "A day of the month is a number.", fix="",
            where=_EVERY),
    brought(r"\bon\s+(?P<x>the\s+)(?:last\s+)?", "A day is named without `the`.", fix="",
            where=_EVERY),
    brought(r"\b(?P<x>(in\s+\"[^\"]*\")\s+(at\s+\d\d:\d\d))",
            "The time of day stands before the zone.",
            fix="{3} {2}", where=_EVERY),
    brought(r"\b(?P<x>catch[-_]?up)\b", "Missed times are caught up with `catch up`.",
            fix="catch up",
            where=_EVERY),
    brought(r"\bcatch\s+up\s*(?=\{)", "A schedule says what it catches up.",
            "write `catch up last` for the newest; without it each missed time is caught up",
            where=_EVERY),
    brought(r"^\s*every\s+(?P<x>"
            r"(?:the\s+)?(last\s+day|first(?:\s+day)?)\s+of\s+(?:the\s+|each\s+|every\s+)?"
            r"(month|year))",
            "A schedule says how often first, then when.",
            fix=lambda found: f"{found[3]} on {'last day' if found[2][0] == 'l' else '1'}",
            where=_EVERY),
)  # fmt: skip

_SHIFTS = {"next": " + 1 {}", "last": " - 1 {}", "previous": " - 1 {}", "this": ""}
_NUMBERS = (
    brought(r"^\s*(?P<x>--\s?(.*))$", "A comment begins with `#`, not `--`.", fix="# {2}"),
    brought(r"(?<![\w.])(\d{1,3}(?:,\d{3})+)(?![\w,])", "Digits are grouped by `_`.",
            fix=lambda found: found[0].replace(",", "_")),
    brought(r"(?<![\w.])(\d{1,3}(?:\.\d{3})+),(\d+)", "A decimal point is `.`, and `_` groups.",
            "write `1_000.50`"),
    brought(r"(?<![\w.,])(\d+),(\d\d?)(?=\s*%|\s+[A-Z]{3}\b)", "A decimal point is `.`.",
            fix="{1}.{2}"),
    brought(r"(?<![\w.)\]])\.(\d+)\b", "A number begins with a digit.", fix="0.{1}"),
    brought(r"(?<![\w.])\d[\d.]*[eE][+-]?\d+\b", "A number is written out.",
            "write `1_000_000`, not `1e6`"),
    brought(r"(?<![\w.])(\d+)k\b", "A number is written out.", fix="{1}_000"),
    brought(r"(?<![\w.])(\d[\d_.]*)\s*(?:percent|per\s?cent|pct)\b",
            "A percentage is written with `%`.", fix="{1}%"),
    brought(r"(?<![\w.])(\d{4}-\d\d-\d\d)\s+(\d\d:\d\d(?::\d\d)?)",
            "An instant has a `T` between its date and its time.", fix="{1}T{2}"),
    brought(r"\b(start|end)\s+of\s+(?P<x>the\s+)", "A period's edge is named without `the`.",
            fix=""),
    brought(r"\b(start|end)\s+of\s+(next|last|previous|this)\s+(day|week|month|quarter|year)\b",
            "A period's edge is that of the running one.",
            fix=lambda found: f"{found[1]} of {found[3]}{_SHIFTS[found[2]]}".format(found[3])),
    brought(r"\b(?P<x>beginning)\s+of\b", "A period begins at its `start`.", fix="start"),
    brought(r"(?<![\w.])(\d[\d_.]*)\s+%", "A percentage is written without a blank.", fix="{1}%"),
    brought(r"(?<![\w.])(\d[\d_.]*)([KMGTP]?B)\b", "A blank stands between a number and its unit.",
            fix="{1} {2}"),
    brought(r"(?<![\w.])(\d[\d_.]*)\s+(?:[dD]ollars?|bucks)\b",
            "Money is written with its currency's code.", fix="{1} USD"),
    brought(r"(?<![\w.])(\d[\d_.]*)\s+[eE]uros?\b", "Money is written with its currency's code.",
            fix="{1} EUR"),
    brought(r"(?<![\w.])(\d[\d_.]*)\s+[pP]ounds?\b", "Money is written with its currency's code.",
            fix="{1} GBP"),
    brought(r"(?<![\w.:])\d{1,2}(?::\d\d)?\s*(?:[aApP]\.?[mM]\.?)(?!\w)",
            "A time of day has 24 hours.", "write `09:00`, or `21:00` for 9 pm"),
    brought(r"\b(?:a|an)\s+(second|minute|hour|day|week|month|quarter|year)\b",
            "A duration has a number.", fix="1 {1}"),
)  # fmt: skip

HABITS = (
    *_NUMBERS, *PRICES, *_SCHEDULES, *OPERATORS, *QUERIES, *_STATEMENTS, *_DECLARATIONS,
)  # fmt: skip


# No author's line is longer, and patterns take the square of a line's length.
_LONGEST = 500


def habit(text: str, keyword: str, place: int, in_map: bool) -> list[tuple[Complaint, bool]]:
    """Complaints that may fit a place of a text where its parser stopped, best first.

    With each: whether its edit promises that the text can be read then, which is to be tried.
    `in_map`: the place is one of names and values, where no statement stands.
    """
    start = text.rfind("\n", 0, place) + 1
    end = text.find("\n", place)
    line = text[start : end if end >= 0 else len(text)].split(" #")[0]
    if len(line) > _LONGEST:
        return []
    at = place - start
    found: list[tuple[Complaint, bool]] = []
    for item in HABITS:
        if in_map and item in _STATEMENTS:
            continue
        if item.where and keyword.split(" ")[0] not in item.where:
            continue
        match = next((m for m in item.pattern.finditer(line) if m.start() <= at <= m.end()), None)
        if match is not None:
            found.append((_complaint(item, match, start), item.fix is not None))
    return found


def _complaint(item: Habit, match: re.Match[str], start: int) -> Complaint:
    groups = match.groupdict()
    low, high = match.span("x") if "x" in groups else match.span()
    span = Span("", start + low, start + high)

    def fill(template: str) -> str:
        return template.format(match[0], *match.groups(), **groups)

    message, help_ = fill(item.message), item.help and fill(item.help)
    if item.fix is None:
        return Complaint(Diagnostic(item.code, span, message, help_), ())
    new = fill(item.fix) if isinstance(item.fix, str) else item.fix(match)
    shown = f"`{new.strip()}`"
    if not help_ and new.strip() and shown not in message:
        help_ = f"write {shown}"
    diagnostic = Diagnostic(item.code, span, message, help_, Fix(span, new, item.code == "E0119"))
    return Complaint(diagnostic, (Edit(span.start, span.end, new),))
