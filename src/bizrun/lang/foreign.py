"""What other languages call what there is here, word by word; whole phrases stand in `habits`."""

from __future__ import annotations

DECLARATIONS = {
    "class": "entity", "struct": "type", "table": "entity", "model": "entity", "import": "use",
    "include": "use", "require": "use", "from": "use", "when": "on", "cron": "every",
    "schedule": "every", "let": "const", "var": "const", "enum": "type", "discount": "coupon",
    "handler": "on", "subscription": "plan", "endpoint": "api",
}  # fmt: skip
"""What a declaration begins with here."""

STATEMENTS = {
    "function": "fn", "func": "fn", "def": "fn", "fun": "fn", "var": "let", "val": "let",
    "print": "log", "console": "log", "echo": "log", "puts": "log", "raise": "reject",
    "throw": "reject", "switch": "match", "while": "for each", "const": "let",
}  # fmt: skip
"""What a statement begins with here; `fn` where it is a declaration."""

ENDS = ("stop", "exit", "end", "done", "quit", "abort", "finish", "halt", "leave")
"""What ends a handler, where a statement is that word alone."""

NULLS = {
    "null": "none", "nil": "none", "undefined": "none", "None": "none", "NULL": "none",
    "True": "true", "False": "false", "TRUE": "true", "FALSE": "false",
}  # fmt: skip
"""Values that have names."""

TYPES: dict[str, str] = {
    **dict.fromkeys(("string", "str", "String", "varchar", "char", "uuid", "url"), "text"),
    **dict.fromkeys(("int", "Int", "bigint", "long", "Integer", "int64", "serial"), "integer"),
    **dict.fromkeys(("float", "double", "decimal", "Decimal", "numeric", "Float"), "number"),
    **dict.fromkeys(("boolean", "Boolean", "Bool"), "bool"),
    **dict.fromkeys(("datetime", "DateTime", "timestamp", "timestamptz", "instant"), "time"),
    **dict.fromkeys(("currency", "Money", "amount", "price"), "money"),
    **dict.fromkeys(("interval", "timedelta", "timespan", "period"), "duration"),
    **dict.fromkeys(("dict", "object", "map", "any", "jsonb", "Json", "JSON", "Map"), "json"),
    **dict.fromkeys(("percentage", "rate"), "percent"),
    "bytes": "size",
    "Date": "date",
}
"""What a type of another language is called here."""

_LEN = "`len(x)` tells how long a text or list is"
_LIST = "`[for x in list where condition: value]` makes a list of another"
_FIND = "write `Entity(key)`, or `first Entity where .field == value`"
_ANY_ALL = "write `count(list where condition) > 0`, with `== 0` for none of them"
_CUT = "a text is asked (`contains`, `starts_with`, `len`) and replaced in, not cut"
_PART = "a part of a date or an instant is read of it: `date.{}`"
_SPAN = "a duration is a number and its unit: `3 days`"
_FORM = 'a format stands behind its value: `"{day:%d.%m.%Y}"`, `"{x:.2}"`'
_CALENDAR = "`use std.calendar` has the functions of business days and holidays"
_SORT = "write `rows order by .field`, and of plain values `[for x in list order by x: x]`"
_EACH = "`group rows by .field count` has a row for each value"
_BACK = "write `… order by .field desc`, or `[for n in 1..len(list): list[len(list) - n]]`"
_ONE_LIST = "write `a + b`, and for what is in several rows a query of the inner ones"
_WHERE = "write `[for n in 0..len(list) - 1 where list[n] == x: n]`"
_SOME = "write `… limit 3`, or `[for n in from..to: list[n]]`"
_MONTH_END = "that of any day is `day + 1 month - 1 day * (day + 1 month).day`"
_NOTHING_RANDOM = "the same events give the same result: `hash(x)` is a steady number for a value"

FUNCTIONS: dict[str, str] = {
    "now": "`now` is a value: write it without brackets",
    "today": "`today` is a value: write it without brackets",
    **dict.fromkeys(("length", "size", "strlen", "char_length"), _LEN),
    **dict.fromkeys(("upcase", "toUpperCase", "uppercase", "to_upper"), "write `upper(x)`"),
    **dict.fromkeys(("downcase", "toLowerCase", "lowercase", "to_lower"), "write `lower(x)`"),
    **dict.fromkeys(("strip", "trimmed"), "write `trim(x)`"),
    **dict.fromkeys(("includes", "include", "has", "contain"), "write `contains(x, part)`"),
    **dict.fromkeys(("startsWith", "startswith"), "write `starts_with(text, start)`"),
    **dict.fromkeys(("endsWith", "endswith"), "write `ends_with(text, end)`"),
    **dict.fromkeys(("substring", "substr", "slice", "left", "right"), _CUT),
    **dict.fromkeys(("map", "filter", "select", "reduce", "collect"), _LIST),
    **dict.fromkeys(("find", "get", "find_by", "findOne", "findFirst", "lookup"), _FIND),
    **dict.fromkeys(("where", "filterBy"), "a condition stands behind its query: `Entity where …`"),
    **dict.fromkeys(("any", "some", "all", "every", "exists"), _ANY_ALL),
    **dict.fromkeys(("push", "append"), "write `list + [x]`, or `add x to row.list`"),
    "last": "the last item is `list[len(list) - 1]`",
    "first": "`first list`, without brackets, is the first of a named list or query",
    **dict.fromkeys(("sort", "sorted", "sortBy", "order"), _SORT),
    **dict.fromkeys(("distinct", "unique", "uniq", "distinct_values", "unique_values"), _EACH),
    **dict.fromkeys(("reverse", "reversed"), _BACK),
    **dict.fromkeys(("flatten", "flat", "flatMap", "union", "concatenate"), _ONE_LIST),
    **dict.fromkeys(("index_of", "indexOf", "indexof", "position", "find_index"), _WHERE),
    **dict.fromkeys(("sublist", "take", "drop", "skip"), _SOME),
    **dict.fromkeys(("matches", "match_regex", "regex", "regexp"), _CUT),
    **dict.fromkeys(("toString", "str", "String", "to_s", "string"), "write `text(x)`"),
    **dict.fromkeys(("int", "float", "parseInt", "parseFloat", "Number", "decimal", "to_number"),
                    "`number(text)` reads a number"),
    **dict.fromkeys(("coalesce", "ifnull", "nvl", "default"), "write `a ?? b`"),
    **dict.fromkeys(("isnull", "is_null", "isNone", "is_none", "isEmpty"), "write `x == none`"),
    **dict.fromkeys(("datediff", "date_diff", "diff"), "write `days(a, b)`, or `b - a`"),
    **dict.fromkeys(("dateadd", "date_add", "addDays", "add_days"), "write `date + 3 days`"),
    **dict.fromkeys(("hours", "minutes", "seconds", "weeks", "years", "interval", "duration",
                     "timedelta"), _SPAN),
    **dict.fromkeys(("average", "mean"), "write `avg(x)`"),
    "ceiling": "write `ceil(x)`",
    **dict.fromkeys(("values", "entries", "get_entries", "items"),
                    "write `[for key in keys(map): map[key]]`"),
    "concat": 'values stand in a text: `"{first} {second}"`',
    **dict.fromkeys(("format", "strftime", "to_char"), _FORM),
    **dict.fromkeys(("pow", "Pow", "exp"), "write `power(x, n)` for `x` so often by itself"),
    **dict.fromkeys(("ratio", "share", "percentage", "pct", "to_percent"),
                    "write `percent(part, whole)`, or `percent(0.25)`"),
    "sqrt": "there are `+ - * /`, `mod`, `power`, `round`",
    **dict.fromkeys(("random", "rand", "uuid", "uuid4"), _NOTHING_RANDOM),
    "year": _PART.format("year"),
    "month": _PART.format("month"),
    "day": _PART.format("day"),
    "hour": _PART.format("hour"),
    **dict.fromkeys(("is_weekend", "isWeekend", "weekend"), "write `date.weekday in 6..7`"),
    **dict.fromkeys(("is_weekday", "is_workday", "isWeekday"), "write `date.weekday in 1..5`"),
    **dict.fromkeys(("end_of_month", "eomonth", "last_day", "last_day_of_month"), _MONTH_END),
    **dict.fromkeys(("is_business_day", "next_business_day", "add_business_days", "add_workdays",
                     "business_days", "networkdays", "workday", "is_holiday"), _CALENDAR),
    **dict.fromkeys(("weekday", "dayofweek", "day_of_week"), _PART.format("weekday")),
}  # fmt: skip
"""What does here what a function of another language does there."""

_WON, _LOST = "Payment.dispute_won", "Payment.dispute_lost"
BILLING: dict[str, str] = {
    **dict.fromkeys(
        ("Chargeback", "Chargeback.created", "Chargeback.received", "Payment.chargeback",
         "Payment.charged_back", "Dispute", "Dispute.created", "Dispute.opened", "Invoice.disputed",
         "Charge.disputed"),
        "Payment.disputed"),
    **dict.fromkeys(
        ("Dispute.lost", "Dispute.closed", "Payment.dispute_closed", "Chargeback.lost",
         "Invoice.payment_dispute_lost"),
        _LOST),
    **dict.fromkeys(
        ("Dispute.won", "Chargeback.reversed", "Chargeback.won", "Payment.chargeback_reversed"),
        _WON),
    **dict.fromkeys(("dispute", "chargeback", "create_chargeback", "create_dispute"),
                    "open_dispute"),
    **dict.fromkeys(("lose_dispute", "win_dispute", "reverse_chargeback", "chargeback_reversal"),
                    "close_dispute"),
    **dict.fromkeys(("write_off", "writeoff", "mark_uncollectable", "bad_debt"),
                    "mark_uncollectible"),
}  # fmt: skip
"""What billing's own events and actions are called elsewhere."""

ENTITIES = dict.fromkeys(("Dispute", "Chargeback"), "PaymentDispute")
"""The same of its entities."""
