"""What the codes E02 to E04 and W02 to W04 mean: names, types and units, none and statements."""

from __future__ import annotations

from ...codes import Code
from .codes_names import NAMES
from .codes_types import TYPES

NONE = {
    "E0401": Code(
        "a field of what may be none",
        "A value with `?` may be none, and none has no fields. Check before, or read with `?.`, "
        "which gives none.",
        'entity Account { id text key }\non A.b { log Account("a1").id }    # `Account("a1")?.id`',
    ),
    "E0402": Code(
        "computing with what may be none",
        "None has no value to compute with: give one with `??`, or check before.",
        "entity Account { id text key, bonus number? }\n"
        "fn f(a: Account) -> number = a.bonus + 1              # `(a.bonus ?? 0) + 1`",
    ),
    "E0403": Code(
        "ordering what may be none",
        "None is neither before nor after anything.",
        "entity Account { id text key, ends time? }\n"
        "fn f(a: Account) -> bool = a.ends < now      # `a.ends != none and a.ends < now`",
    ),
    "E0404": Code(
        "none where a value is needed",
        "None only fits a type with `?`.",
        "entity Account { id text key, plan plan }\n"
        'on A.b { create Account { id: "a1", plan: none } }',
    ),
    "W0402": Code(
        "an argument that may be none",
        "An action or function that needs a value and gets none refuses the event.",
        "entity Account { id text key, email text? }\n"
        'on Account.created as e { email { to: e.account.email, subject: "Hi", body: "Hello" } }',
    ),
}

GIVEN = {
    "E0405": Code(
        "a field that has to be given",
        "A field without a default and without `?` has to be given when a row is created or an "
        "event is sent.",
        'entity Account { id text key, email text }\non A.b { create Account { id: "a1" } }',
    ),
    "E0406": Code(
        "a field that an action needs",
        "The action can't do its work without it.",
        "on A.b as e { charge { customer: e.customer } }       # and `amount`",
    ),
    "E0407": Code(
        "one of several fields",
        "The action takes exactly one of them.",
        'on A.b as e { email { to: e.to, subject: "Hi" } }     # and `template` or `body`',
    ),
    "E0421": Code(
        "an upsert needs to know its row",
        "`upsert` changes the row with the given key or unique field, or creates it.",
        'entity Account { id text key, name text }\non A.b { upsert Account { name: "Ada" } }',
    ),
    "E0422": Code(
        "an action without an address",
        "A text between name and braces is the path of a connection's call.",
        'on A.b as e { charge "now" { customer: e.customer, amount: 5 USD } }',
    ),
}

PLACES = {
    "E0408": Code(
        "a function changes nothing",
        "Functions are pure: they read and compute. That is why they may stand anywhere.",
        'fn f() -> number { log "called"\nreturn 1 }',
    ),
    "E0409": Code(
        "a function doesn't wait",
        "Only a handler or schedule can be continued later.",
        'fn f() -> number { after 1 day { log "later" }\nreturn 1 }',
    ),
    "E0410": Code(
        "a statement of tests",
        "`expect`, `advance`, `payments`, `answer` and `call` play the outside world.",
        "on A.b { advance 3 days }",
    ),
    "E0411": Code(
        "a statement of handlers",
        "A test stands outside: it sends events and looks at what happens.",
        'test "t" { after 3 days { log "later" } }             # `advance 3 days`',
    ),
    "E0412": Code(
        "a function without a value",
        "What a function is called for is its value.",
        "fn f() -> number { return }",
    ),
    "E0413": Code(
        "a function that may end without a value",
        "Every way through a function ends in `return value`.",
        'fn f(x: number) -> text { if x > 1 { return "many" } }',
    ),
    "E0414": Code(
        "an event's time and id are its own",
        "Only a test says when an event happened and what its id is.",
        'on A.b { emit C.d { } id "x" }',
    ),
    "E0425": Code(
        "a time that counts backwards",
        "What is waited for lies ahead, and the clock of a test goes on only.",
        'on A.b { after -3 days { log "later" } }',
    ),
    "E0424": Code(
        "no tenants",
        "`across tenants` lifts a filter that this spec doesn't have.",
        'on A.b { across tenants { log "all" } }',
    ),
    "W0401": Code(
        "never reached",
        "What stands before always ends the handler by `return` or `reject`.",
        'on A.b { return 1\nlog "never" }',
    ),
    "W0403": Code(
        "sees every tenant",
        "Listed so that a reviewer can find each place where the data of tenants may mix. Where it "
        "is meant, a comment on its line or above says so and why, and `--strict` passes: "
        "`# allow W0403: our own figures`.",
        'business "B" { tenant Org }\nentity Org { id text key }\n'
        'on A.b { across tenants { log "all" } }',
    ),
}

ROWS = {
    "E0415": Code(
        "no row",
        "`update` and `delete` take one row of an entity.",
        "entity Account { id text key }\non A.b { delete Account }",
    ),
    "E0416": Code(
        "nothing to add to",
        "`add` and `remove` change a field of a row that is a list.",
        'entity Account { id text key }\non Account.created as e { add "x" to e.account.id }',
    ),
    "E0417": Code(
        "a field that never changes",
        "A row keeps its key and its time of creation; others refer to it by them.",
        'entity Account { id text key }\non Account.created as e { update e.account { id: "a2" } }',
    ),
    "E0418": Code(
        "a row that never changes",
        "What an entity that is `append only` has is added to, and never changed or deleted: a log "
        "that can be relied on.",
        "entity Entry append only { text text }\non Entry.created as e { delete e.entry }",
    ),
    "W0404": Code(
        "what billing keeps",
        "What a subscription costs and what an invoice says are changed by actions, which bill and "
        "book what follows; a handler that writes it refuses each of its events.",
        "plan pro { price 29 USD per month }\n"
        "on Subscription.created(subscription) {\n"
        "  update subscription { plan: pro }     # `change_plan { subscription, plan: pro }`\n}",
    ),
}

CODES: dict[str, Code] = NAMES | TYPES | NONE | GIVEN | PLACES | ROWS
