"""What the codes E02 and W02 mean: names that stand for nothing, or for two things."""

from __future__ import annotations

from ...codes import Code

UNKNOWN = {
    "E0201": Code(
        "unknown name",
        "A bare name is a value that `let`, `as`, `for each` or a parameter named before, a "
        "constant, or something that the spec declares. A value of a block ends with its block.",
        "on Customer.signup as signup { log sigup.email }      # did you mean `signup`?",
    ),
    "E0202": Code(
        "unknown function",
        "A call names a function of the spec, a built-in one, or an entity with a key. Functions "
        "stand before what they take: there are no methods.",
        "on A.b as e { log lowr(e.name) }                      # did you mean `lower`?",
    ),
    "E0203": Code(
        "unknown field of an entity",
        "There is no undefined: a row has the fields that its entity declares, `created_at` and "
        "`updated_at`. More of them for a built-in entity come with `extend entity`.",
        "entity Account { id text key, email text }\n"
        'on A.b { log Account("a1")?.emial }                   # did you mean `email`?',
    ),
    "E0204": Code(
        "unknown entity",
        "Entities are declared by `entity`, those of billing are built in.",
        'on A.b { create Acount { id: "a1" } }                 # did you mean `Account`?',
    ),
    "E0205": Code(
        "unknown type",
        "A type is text, number, integer, bool, money, percent, duration, size, time, date, plan, "
        "coupon, json, an entity, a `type`, a list, a map, or texts with `|` between them.",
        "entity Account { id text key, age nubmer }            # did you mean `number`?",
    ),
    "E0206": Code(
        "no such event",
        "A test expects an event that nothing declares and nothing emits, so it can't ever come.",
        'test "t" { expect event Customer.singup }             # did you mean `Customer.signup`?',
    ),
    "E0207": Code(
        "unknown plan",
        "Where a plan is wanted, a bare name or a text names a plan or add-on of the spec.",
        "on A.b as e { subscribe { customer: e.customer, plan: por } }     # did you mean `pro`?",
    ),
    "E0208": Code(
        "unknown coupon",
        "Where a coupon is wanted, a bare name or a text names a coupon of the spec.",
        "on A.b as e { apply_coupon { customer: e.customer, coupon: STY } }",
    ),
    "E0209": Code(
        "unknown meter",
        "Usage is counted by a `meter`; plans, `usage(…)` and `record_usage` name it.",
        "plan pro { price 9 USD per month, usage api_cals: 0.01 USD }",
    ),
    "E0210": Code(
        "unknown limit",
        "A limit is one that some plan sets in its `limits { … }`.",
        "on A.b as e { log limit(e.customer, usrs) }           # did you mean `users`?",
    ),
    "E0211": Code(
        "unknown template",
        "An email's template is a `template` of the spec, or templates/NAME.md beside it.",
        'on A.b as e { email { to: e.to, template: "welcom", data: { e } } }',
    ),
    "E0212": Code(
        "unknown metric",
        "`record` adds a point to a metric that the spec declares: `metric visits: number`.",
        "on A.b { record visit 1 }                             # did you mean `visits`?",
    ),
    "E0213": Code(
        "unknown action",
        "An action is a word of the language, or a method of a connection. It stands as a "
        "statement, or after `let x =`, and takes its values between braces.",
        "on A.b as e { chrge { customer: e.customer, amount: 5 USD } }  # `charge`?",
    ),
    "E0215": Code(
        "unknown field of an action",
        "An action takes the fields that it knows; any other would be without effect.",
        "on A.b as e { charge { customer: e.customer, amont: 5 USD } }  # `amount`?",
    ),
    "E0216": Code(
        "unknown field of an event",
        "A declared event has the fields of its declaration. Of several events, or of a wildcard, "
        "only those can be read that all of them have; the others where `e.event.type` was asked: "
        '`if e.event.type == "Return.lost" { … }`.',
        "event Customer.signup { email text }\non Customer.signup as s { log s.emial }",
    ),
    "E0217": Code(
        "unknown field of a value",
        "The value is a shape, a row of a group, a plan, or what an action gave: it has the fields "
        "that stand there.",
        "type Address { city text }\nfn f(a: Address) -> text = a.town",
    ),
    "E0228": Code(
        "unknown connection",
        "`name.get`, `name.post` and so on call a service that `connect name { … }` declares.",
        'on A.b { shipo.post "/shipments" { weight: 1 } }      # did you mean `shippo`?',
    ),
    "E0227": Code(
        "unknown experiment",
        "`variant` and `variant_name` ask an `experiment` of the spec.",
        'on A.b as e { log variant("price_tst", e.customer) }',
    ),
    "E0230": Code(
        "unknown api",
        "A test calls a route that no `api` declares.",
        'test "t" { call GET "/usge" }                         # did you mean "/usage"?',
    ),
}

TWICE = {
    "E0218": Code(
        "declared twice",
        "A name stands for one thing of a kind, also across the files of a spec. The entities and "
        "events of billing are there already.",
        "plan pro { price 9 USD per month }\nplan pro { price 19 USD per month }",
    ),
    "E0219": Code(
        "a name is given twice",
        "A value keeps its name to the end of its block and never changes.",
        'on A.b { let x = 1\nlet x = 2\nlog "{x}" }',
    ),
    "E0221": Code(
        "a built-in name can't be given away",
        "`now`, `today`, `event` and `self` mean the same wherever they stand.",
        "on A.b { let now = 3 }",
    ),
    "E0223": Code(
        "a field stands twice",
        "Only one of the two could hold.",
        "entity Account { id text key, email text, email text }",
    ),
    "E0224": Code(
        "two keys",
        "An entity has one key; other fields may be `unique`.",
        "entity Account { id text key, email text key }",
    ),
    "E0225": Code(
        "a row's field outside of a query",
        "`.field` is read from the row that a query, trigger, meter or update looks at.",
        "on A.b { log .status }                                # `account.status`",
    ),
    "E0226": Code(
        "a function that isn't called",
        "A function is no value; what it gives is.",
        "fn one() -> number = 1\non A.b { log one }            # `one()`",
    ),
    "E0231": Code(
        "a name that the field can't have had",
        "`was` says what a field of an entity was called before, so that what is stored is found "
        "under its new name: a name that no field has any more, and one field alone had.",
        "entity Member { id text key, town text was city, city text }",
    ),
    "E0229": Code(
        "a function or constant that uses itself",
        "Functions must come to an end, so that every event is handled in bounded time: none may "
        "call itself, by whatever way.",
        "fn f(n: number) -> number = f(n - 1)",
    ),
    "W0201": Code(
        "an event that isn't declared",
        "It may be handled, but nothing checks what its payload has: a mistyped field is none.",
        "on Customer.singup as s { log s.email }               # did you mean `Customer.signup`?",
    ),
    "W0202": Code(
        "a value that is never used",
        "Most often another name was meant where it should have been read.",
        "on A.b { let total = 3 USD }",
    ),
    "W0203": Code(
        "a name hides another",
        "Inside this block the outer value of that name can't be read; a reader may take one for "
        "the other.",
        'on A.b as x { for each x in [1, 2] { log "{x}" } }',
    ),
    "W0204": Code(
        "a choice twice",
        "A union of texts names each of them once; most often another one was meant.",
        'entity Order { id text key, status "open" | "open" | "paid" = "open" }',
    ),
}

NAMES: dict[str, Code] = UNKNOWN | TWICE
