"""The words of the language by where they stand: for editors, and to guess what was meant."""

from __future__ import annotations

RESERVED = {"if", "not", "match", "for", "create", "true", "false", "none", "unlimited"}
STATEMENTS = (
    "let create upsert update delete add remove emit after at wait for if else match return "
    "reject record log across"
)
# How a statement is written whose word stands alone.
STATEMENT_FORMS = {
    "log": 'log "…"',
    "reject": 'reject "why"',
    "emit": "emit Noun.verb { field: value }",
    "record": "record metric value",
    "create": "create Entity { field: value }",
    "upsert": "upsert Entity { field: value }",
    "update": "update row { field: value }",
    "delete": "delete row",
    "add": "add row to other.rows",
    "remove": "remove row from other.rows",
    "if": "if condition { … }",
    "match": "match x { value => { … } else => { … } }",
    "after": "after 3 days { … }",
    "at": "at some_time { … }",
    "let": "let x = …",
}
TEST_STATEMENTS = "advance expect payments answer call succeed fail rejected"
IN_QUERIES = "where order limit first group each in as unless within then from to by asc desc"
PRICING = "per month year graduated volume stairstep up above flat package arrears free"
BY_DECLARATION = {
    "business": "language currency timezone bills tenant rounding proration invoice_number",
    "entity": "entity index key unique was text number integer bool money percent time date",
    "event": "event key",
    "plan": f"price trial features limits includes usage minimum maximum bill phase {PRICING}",
    "addon": f"price only includes usage {PRICING}",
    "meter": "count sum max min last average unique of per by where unit",
    "coupon": "off once for until at most times only forever per customer months",
    "tax": "exclusive inclusive when provider",
    "dunning": "retry after every backoff doubling times then suspend cancel more days",
    "lifecycle": "start any on after",
    "trigger": "for when reaches drops below once per period",
    "every": "on at in catch up last day week month year minutes hours days",
    "metric": "every day hour week month",
    "api": "for can role",
    "role": "can",
    "experiment": "by variant",
}
IN_BLOCKS = {"on", "every", "fn", "api", "test"}
