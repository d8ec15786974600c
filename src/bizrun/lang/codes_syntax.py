"""The codes of what can't be read: E01xx."""

from __future__ import annotations

from ..codes import Code

CODES: dict[str, Code] = {
    "E0101": Code(
        "something can't stand here",
        "The text does not follow the grammar at this place. The message says what was being read "
        "and, where it helps, what could stand there.",
        "plan pro { price 99 USD each month }   # price 99 USD per month",
    ),
    "E0102": Code(
        "a text is not closed",
        'A text ends with `"` on the line on which it begins. A text of several lines begins and '
        'ends with `"""`.',
        'log "hello                             # log "hello"',
    ),
    "E0103": Code(
        "a file is no text",
        "A .biz file is UTF-8 text of at most 5 MB, with or without a byte order mark. Other bytes "
        "would be read differently on different machines.",
        "a spec saved as UTF-16                 # save it as UTF-8",
    ),
    "E0104": Code(
        "a comment of another language",
        "A comment begins with `#` and ends with its line. `##` above a declaration describes it.",
        "// the trial                           # the trial",
    ),
    "E0105": Code(
        "a bracket is not closed",
        "Each `{`, `(` and `[` needs its partner. Indentation tells which one was forgotten.",
        "on A.b { log lower(x }                 # on A.b { log lower(x) }",
    ),
    "E0106": Code(
        "a bracket closes nothing",
        "There is a `}`, `)` or `]` too many, or the one that opens was forgotten.",
        "const grace = 7 days)                  # const grace = 7 days",
    ),
    "E0107": Code(
        "this begins no declaration",
        "A file consists of declarations, each of which begins with its keyword on a line of its "
        "own. Statements stand in handlers.",
        "enttiy Account { }                     # entity Account { }",
    ),
    "E0108": Code(
        "a misspelt or foreign word",
        "With the word that is suggested the line could be read.",
        "on A.b { retrun 1 }                    # on A.b { return 1 }",
    ),
    "E0109": Code(
        "nested too deeply",
        "At most 100 levels of brackets, calls or operators stand in each other. Give inner parts "
        "names with `let`, `const` or `fn`.",
        "((((( … 101 times",
    ),
    "E0110": Code(
        "no number",
        "A number has digits, `_` between them, and at most one point. It has at most 34 digits.",
        'const version = 1.5.2                  # const version = "1.5.2"',
    ),
    "E0111": Code(
        "no such currency",
        "Money carries a currency code of ISO 4217.",
        "price 29 USX per month                 # price 29 USD per month",
    ),
    "E0112": Code(
        "no such date or time",
        "A date is `2026-01-31`, a time of day `09:00`, an instant `2026-01-31T09:00:00Z`; the day "
        "has to exist.",
        "const start = 2026-02-30               # const start = 2026-02-28",
    ),
    "E0113": Code(
        "no unit of time",
        "Durations count seconds, minutes, hours, days, weeks, months, quarters or years, with a "
        "blank before the unit.",
        "after 3 fortnights { }                 # after 42 days { }",
    ),
    "E0114": Code(
        "no such escape",
        'In a text `\\"`, `\\\\`, `\\n`, `\\t`, `\\{` and `\\}` stand for a character.',
        'log "a\\qb"                             # log "a\\\\qb"',
    ),
    "E0115": Code(
        "no expression in the braces of a text",
        "Braces in a text hold an expression, perhaps with a format behind a colon. A brace that "
        "is meant as such is written `\\{`.",
        'log "total: {sum + }"                  # log "total: {sum}"',
    ),
    "E0116": Code(
        "a currency sign",
        "`$` is the sign of twenty currencies; money carries the ISO code behind the amount.",
        "price $29 per month                    # price 29 USD per month",
    ),
    "E0117": Code(
        "a currency code out of place",
        "The code stands in capitals behind the amount, with a blank between.",
        "price 29 usd per month                 # price 29 USD per month",
    ),
    "E0118": Code(
        "a logical operator of another language",
        "Conditions are joined with `and` and `or`, and turned round with `not`.",
        "if a && !b { }                         # if a and not b { }",
    ),
    "E0119": Code(
        "`=` where values are compared",
        "`=` gives a value to a name; whether two values are the same asks `==`.",
        'if status = "trial" { }                # if status == "trial" { }',
    ),
    "E0120": Code(
        "comparisons in a chain",
        "`a < b < c` would compare a truth value with c. Each comparison stands by itself, or a "
        "range is asked with `in`.",
        "if 1 < x < 9 { }                       # if 1 < x and x < 9 { }",
    ),
    "E0121": Code(
        "quotes of another kind",
        'A text stands in straight double quotes: `"…"`. Word processors make them round.',
        "log 'hello'                            # log \"hello\"",
    ),
    "E0122": Code(
        "none, true and false by another name",
        "What is not there is `none`; truth values are `true` and `false`.",
        "if plan == null { }                    # if plan == none { }",
    ),
    "E0123": Code(
        "a semicolon",
        "A statement ends with its line.",
        'log "a";                               # log "a"',
    ),
    "E0124": Code(
        "a function in another language's words",
        "A function is declared with `fn` at the top of a file, with types: `fn half(x: money) -> "
        "money = x / 2`.",
        "function half(x) { return x / 2 }      # fn half(x: money) { return x / 2 }",
    ),
    "E0125": Code(
        "a comparison of another language",
        "Values are compared with `==`, `!=`, `<`, `<=`, `>` and `>=`.",
        "if a === b { }                         # if a == b { }",
    ),
    "E0126": Code(
        "`let` without a value",
        "A name is given once, with its value, and never changes.",
        "let total                              # let total = 0 USD",
    ),
    "E0127": Code(
        "`else` without an `if`",
        "`else` and `else if` follow the `}` of their `if`.",
        'else { log "b" }                       # if a { log "a" } else { log "b" }',
    ),
    "E0128": Code(
        "`if` without braces",
        "The statements of an `if` stand in braces, also a single one.",
        'if late reject "too late"              # if late { reject "too late" }',
    ),
    "E0129": Code(
        "`for` without `each`",
        "A loop says `for each`: each of its rounds commits by itself.",
        "for x in items { }                     # for each x in items { }",
    ),
    "E0130": Code(
        "a colon or comma is missing",
        "What stands in the braces of an action, a map or a list of limits is `name: value`, with "
        "a comma or a new line between.",
        "email { to x.email }                   # email { to: x.email }",
    ),
    "E0131": Code(
        "a merge conflict",
        "Version control left both versions in the file. The first one is read.",
        "<<<<<<< HEAD",
    ),
    "E0132": Code(
        "a block is missing",
        "What belongs to this line stands in braces, the first of which ends the line.",
        "on A.b as e                            # on A.b as e {",
    ),
    "E0133": Code(
        "a word that can't be a name",
        "`if`, `not`, `match`, `for`, `create`, `true`, `false`, `none` and `unlimited` can't name "
        "a value; all other words can.",
        "let match = 1                          # let found = 1",
    ),
    "E0134": Code(
        "a name that is given a value anew",
        "`let` names a value once. What changes is state: `update x { … }`.",
        "total = total + 1                      # let more = total + 1",
    ),
    "E0135": Code(
        "`else if` in one word",
        "It is written in two words.",
        "} elif b {                             # } else if b {",
    ),
    "E0137": Code(
        "a colon or an equals sign too many",
        "Here the value follows its name without a sign between.",
        "price: 29 USD per month                # price 29 USD per month",
    ),
    "E0138": Code(
        "a slash for `per`",
        "A price says `per month`.",
        "price 29 USD/month                     # price 29 USD per month",
    ),
    "E0139": Code(
        "a declared name in quotes",
        "What a file declares is named bare; a second, quoted name is the one that customers see.",
        'plan "pro" { }                         # plan pro { }',
    ),
    "E0140": Code(
        "this is how another language writes it",
        "Much reads as in JavaScript, Python or SQL, and some does not: `==` for `is`, `if … then "
        "… else` for `? :`, `[for x in list: …]` for `map`, `order by`, `after 3 days { … }` for "
        "`sleep`, `text?` for what may be none. The message says how it is written here.",
        "if plan is none { }                    # if plan == none { }",
    ),
    "E0150": Code(
        "this is no YAML",
        "A .biz.yaml file is one YAML document. A value that holds `: ` or ` #`, or begins with a "
        "sign such as `*` or `{`, stands between single quotes. No key stands twice in a mapping.",
        "reject: Quota: exceeded                # reject: '\"Quota: exceeded\"'",
    ),
    "E0151": Code(
        "this is not the YAML form",
        "The YAML form has a key for each part of a declaration or statement. Expressions are "
        "texts of the grammar, so a text within one has quotes of its own: `'\"trial\"'`.",
        "- event: Customer.signup\n  then: []                             # do: []",
    ),
}
