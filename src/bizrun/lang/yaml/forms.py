"""What the YAML form knows: its sections, and the keys of each declaration and statement.

One table feeds reading, writing and the JSON Schema. A value is of a kind:

text        a text as it is, `"…"` in the grammar where it begins with a quote
words       what stands there in the grammar, one line
expr        an expression; a list or mapping stands for `[…]` and `{…}`; `expr?` may lack
map         a mapping of expressions: `{ name: value, short:, ...spread: }`
names       words, as a list or with commas
texts       a list of texts
body        a list of statements
fields      a mapping of names to `TYPE flags = default`, or { type, "##" }
params      a mapping of names to `TYPE = default`
parts       lines of the grammar, as a list or one
arrows      a list of arrows
bounds      an amount, or a list of those of several currencies
prices, usage, includes, phases, versions   the lines of a plan (see `read_plans`)
values      a mapping of names to expressions
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DOC = "##"


@dataclass(frozen=True, slots=True)
class Form:
    """The keys of a mapping with their kinds; `needs` must stand there, `open` takes any other."""

    keys: Mapping[str, str]
    needs: tuple[str, ...] = ()
    open: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A key at the top of a file.

    `word` is the grammar's keyword; `form` that of each declaration, None where it is a text or a
    list alone; `head` is the key of a form in a list that a mapping has as its key instead.
    """

    name: str
    word: str
    form: Form | None = None
    head: str | None = None
    doc: str = ""
    aliases: tuple[str, ...] = field(default=())


_PLAN = {
    "name": "text",
    "price": "prices",
    "trial": "words",
    "features": "texts",
    "limits": "map",
    "includes": "includes",
    "usage": "usage",
    "minimum": "bounds",
    "maximum": "bounds",
    "seats": "words",
    "bill usage at": "words",
    "only": "names",
    "phases": "phases",
    "versions": "versions",
}

PLAN = Form(_PLAN, open="clause")
PHASE = Form({"phase": "text", "for": "words", **_PLAN}, ("phase", "for"), "clause")
VERSION = Form({"from": "words", "migrate": "words", **_PLAN}, ("from",), "clause")
PRICE = Form(
    {
        "amount": "words",
        "per": "names",
        "arrears": "words",
        "graduated": "tiers",
        "volume": "tiers",
        "stairstep": "tiers",
        "within": "words",
    }
)
PRICING = Form(
    {
        "per": "names",
        "rate": "words",
        "graduated": "tiers",
        "volume": "tiers",
        "stairstep": "tiers",
        "within": "words",
        "prices": "cases",
    },
    open="package",
)
FIELD = Form({"type": "words", DOC: "text"}, ("type",))
ARROW = Form(
    {
        "from": "text",
        "to": "text",
        "on": "words",
        "as": "words",
        "where": "expr",
        "after": "words",
    },
    ("from", "to"),
)
_PATTERN = {"as": "words", "fields": "names", "where": "expr"}

SECTIONS: tuple[Section, ...] = (
    Section("use", "use", doc="Other files and std modules, as a list."),
    Section(
        "business",
        "business",
        Form({"name": "text"}, open="setting"),
        doc="The business: its name and settings.",
    ),
    Section("given", "given", doc="What stands in for declarations of those who use this file."),
    Section("types", "type", Form({}, open="field"), doc="Shapes without a table."),
    Section(
        "entities",
        "entity",
        Form({"index": "indexes", "append only": "flag"}, open="field"),
        doc="What is stored.",
    ),
    Section(
        "extend",
        "extend entity",
        Form({"index": "indexes"}, open="field"),
        doc="Fields that built-in entities get besides their own.",
    ),
    Section("events", "event", Form({"key": "words", "fields": "fields"}, open="field")),
    Section("plans", "plan", PLAN, doc="What is sold."),
    Section("addons", "addon", PLAN),
    Section(
        "meters",
        "meter",
        Form(
            {
                **dict.fromkeys(
                    ("count", "sum", "max", "min", "last", "average", "unique"), "words"
                ),
                "name": "text",
                "per": "words",
                "by": "names",
                "where": "expr",
                "unit": "words",
            }
        ),
        doc="What is counted.",
    ),
    Section("coupons", "coupon", doc="Parts of a coupon, as one line or a list."),
    Section("taxes", "tax", doc="Parts of a tax, as one line or a list."),
    Section("dunning", "dunning", doc="Steps, as one line or a list."),
    Section(
        "lifecycles",
        "lifecycle",
        Form({"start": "text", "arrows": "arrows"}),
        doc="The states of a field and what moves it.",
    ),
    Section(
        "triggers",
        "trigger",
        Form({"for": "words", "when": "expr", "once per": "words"}, ("for", "when")),
        doc="Events that a condition emits when it turns true.",
    ),
    Section(
        "on",
        "on",
        Form({"event": "words", **_PATTERN, "across tenants": "flag", "do": "body"}, ("event",)),
        head="event",
        doc="Handlers.",
    ),
    Section(
        "every",
        "every",
        Form(
            {
                "every": "words",
                "cron": "text",
                "on": "words",
                "at": "words",
                "in": "text",
                "catch up": "words",
                "do": "body",
            }
        ),
        head="every",
        doc="Schedules.",
    ),
    Section(
        "functions",
        "fn",
        Form({"takes": "params", "gives": "words", "value": "expr", "do": "body"}),
        aliases=("fns",),
    ),
    Section("constants", "const", doc="Names for values.", aliases=("consts",)),
    Section("templates", "template", Form({}, open="text"), doc="Texts of emails, in Jinja2."),
    Section("metrics", "metric", Form({"type": "words", "value": "expr", "every": "words"})),
    Section(
        "apis",
        "api",
        Form(
            {"api": "words", "takes": "params", "for": "words", "can": "names", "do": "body"},
            ("api",),
        ),
        head="api",
        doc="Routes of `bizrun serve`, each `GET /path`.",
    ),
    Section("roles", "role", doc="What each role can do, as a list."),
    Section(
        "experiments", "experiment", Form({"by": "expr", "variants": "values"}, ("by", "variants"))
    ),
    Section("connect", "connect", Form({}, open="expr"), doc="Providers and services."),
    Section("override", "override", doc="What replaces declarations of used files."),
    Section(
        "directory",
        "directory",
        Form({"for": "words", "with": "map"}, ("for", "with")),
        doc="What a company directory (SCIM) keeps here: `users` and `groups`.",
    ),
    Section(
        "sign_in",
        "sign_in",
        Form({"for": "words", "with": "map"}, ("for", "with")),
        doc="Ways for people to sign in (OpenID Connect).",
    ),
    Section(
        "tests",
        "test",
        Form({"test": "text", "do": "body"}, ("test",)),
        head="test",
        doc="Tests beside the rules.",
    ),
)

# Sections that hold sections.
NESTED = ("given", "override")

BY_NAME: dict[str, Section] = {
    name: section for section in SECTIONS for name in (section.name, section.word, *section.aliases)
}

# Statements by their first key. A mapping that begins with another key is an action.
_WITH = {"with": "map"}
STATEMENTS: dict[str, Form] = {
    "let": Form({"let": "words", "value": "expr"}, open="action"),
    "create": Form({"create": "words", **_WITH}),
    "upsert": Form({"upsert": "words", **_WITH}),
    "update": Form({"update": "expr", **_WITH}),
    "delete": Form({"delete": "expr"}),
    "add": Form({"add": "expr", "to": "expr"}, ("to",)),
    "remove": Form({"remove": "expr", "from": "expr"}, ("from",)),
    "emit": Form({"emit": "words", **_WITH, "at": "expr", "id": "expr", "corrects": "expr"}),
    "after": Form({"after": "expr", "unless": "words", "do": "body"}, ("do",)),
    "at": Form({"at": "expr", "unless": "words", "do": "body"}),
    "wait for": Form({"wait for": "words", **_PATTERN, "within": "expr"}),
    "for each": Form({"for each": "words", "in": "expr", "do": "body"}, ("in", "do")),
    "if": Form({"if": "expr", "then": "body", "else": "body"}, ("then",)),
    "match": Form({"match": "expr", "cases": "match cases", "else": "body"}),
    "return": Form({"return": "expr?"}),
    "reject": Form({"reject": "expr"}),
    "record": Form({"record": "words", "value": "expr"}, ("value",)),
    "log": Form({"log": "expr"}),
    "across tenants": Form({"across tenants": "body"}),
    "advance": Form({"advance": "words"}),
    "expect": Form({"expect": "words", "at": "open text", **_WITH}),
    "payments": Form({"payments": "words"}),
    "answer": Form({"answer": "words", "at": "open text", "with": "expr"}, ("with",)),
    "call": Form({"call": "words", **_WITH, "as": "expr"}),
}
CASE = Form({"when": "patterns", "do": "body"}, ("when", "do"))
ACTION = Form({"with": "map"}, open="action")
