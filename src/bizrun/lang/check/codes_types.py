"""What the codes E03 and W03 mean: types, units and operators."""

from __future__ import annotations

from ...codes import Code

UNITS = {
    "E0302": Code(
        "money and a number",
        "An amount without a currency says nothing: is it dollars, cents, pieces?",
        "fn f(price: money) -> money = price + 5               # `price + 5 USD`",
    ),
    "E0303": Code(
        "adding a percent",
        "A percent is a share of something, and `+` doesn't say of what. A tenth more is 110%.",
        "fn f(price: money) -> money = price + 10%             # `price * 110%`",
    ),
    "E0304": Code(
        "a month has no fixed length",
        "28 to 31 days: whether it is longer than 30 days depends on where it begins. No calendar "
        "unit has parts: a day has 23, 24 or 25 hours.",
        "fn f() -> bool = 1 month < 30 days",
    ),
    "E0305": Code(
        "two currencies",
        "Amounts of two currencies never mix; a rate and a moment would be needed.",
        "fn f() -> money = 5 USD + 5 EUR",
    ),
    "E0306": Code(
        "adding two points in time",
        "Between two points in time there is a duration (`b - a`); their sum means nothing.",
        "fn f(a: time, b: time) -> time = a + b",
    ),
    "E0307": Code(
        "an operator doesn't take these types",
        "Each operator takes certain pairs: money times a number or percent, time plus a duration, "
        "a duration times a number, and so on.",
        "fn f(a: money, b: money) -> money = a * b",
    ),
    "E0321": Code(
        "text is not added",
        "Texts hold values: write the whole as one text.",
        'fn f(name: text) -> text = "Hello " + name            # "Hello {name}"',
    ),
    "E0327": Code(
        "a whole number is needed",
        "Seats, quantities and counts come whole.",
        "on A.b as e { set_quantity { subscription: e.sub, quantity: 1.5 } }",
    ),
    "W0328": Code(
        "a division by zero",
        "It has no result: whatever asks for it fails.",
        "const seats = 0\nfn f(price: money) -> money = price / seats",
    ),
    "W0327": Code(
        "a range that holds nothing",
        "The smaller end stands first; both ends are in.",
        "fn f(hour: number) -> bool = hour in 17..9             # 9..17",
    ),
    "E0329": Code(
        "a limit that rows can't have",
        "`limit` says how many rows there are at most.",
        "entity Order { id text key }\nfn f() -> [Order] = Order order by .id limit -1",
    ),
}

COMPARING = {
    "E0308": Code(
        "these are never equal",
        "Values of two types, or of two entities, can't be equal or in an order.",
        "entity Account { id text key, credit money }\nfn f(a: Account) -> bool = a.credit == 0",
    ),
    "E0310": Code(
        "a condition is true or false",
        "Numbers, texts and lists are neither; say when the condition holds.",
        'fn f(x: number) -> text = if x then "some" else "none"',
    ),
    "E0311": Code(
        "none of the values",
        "The field has a union of texts as its type, and this is none of them.",
        'entity Account { id text key, status "trial" | "active" }\n'
        'fn f(a: Account) -> bool = a.status == "activ"',
    ),
    "E0312": Code(
        "no order",
        "Numbers, money, percents, durations, sizes, times, dates and texts have an order.",
        "fn f(a: bool, b: bool) -> bool = a < b",
    ),
    "E0313": Code(
        "only in a trigger",
        "`reaches` and `drops below` ask when something happens, which only a trigger can.",
        "fn f(x: number) -> bool = x reaches 10                # `x >= 10`",
    ),
    "W0302": Code(
        "never none",
        "Only a type with `?` may be none, so that the comparison always has the same answer.",
        "fn f(x: number) -> bool = x == none",
    ),
    "W0303": Code(
        "`??` on a value that is never none",
        "What stands on the right can't ever be taken.",
        "fn f(x: number) -> number = x ?? 3",
    ),
    "W0304": Code(
        "a value compared with itself",
        "That is always true, or always false. In a query a field of the row has a point before "
        "it: `.owner == owner`.",
        "entity Page { id text key, owner text }\n"
        "fn pages(owner: text) -> [Page] = Page where owner == owner   # W0304: .owner == owner",
    ),
}

VALUES = {
    "E0301": Code(
        "wrong type",
        "A field, parameter or result takes values of its type.",
        "entity Account { id text key, credit money }\n"
        'on A.b { create Account { id: "a1", credit: 5 } }     # `5 USD`',
    ),
    "E0314": Code(
        "wrong number of values",
        "A function takes the values of its declaration, less those with a default.",
        "fn double(x: number) -> number = x * 2\nfn f() -> number = double(1, 2)",
    ),
    "E0315": Code(
        "a function doesn't take this",
        "A built-in function takes values of certain types.",
        "fn f() -> number = days(1, 2)",
    ),
    "E0316": Code(
        "branches of different types",
        "All branches of `if`, `match` and `??` give a value of one type.",
        'fn f(x: bool) = if x then 1 else "one"',
    ),
    "E0317": Code(
        "no list",
        "`for each`, `in`, `first`, `where` and sums go through a list, a range or a query.",
        'on A.b { for each x in 3 { log "{x}" } }',
    ),
    "E0318": Code(
        "nothing to ask by an index",
        "A list is asked by a number from 0, a map by a text.",
        'fn f(x: [number]) -> number = x["first"]',
    ),
    "E0319": Code(
        "nested too deeply",
        "Nobody can read it, and the engine bounds how deep it goes.",
        "fn f() -> number = 1     # more than a hundred brackets in each other",
    ),
    "E0320": Code(
        "nothing to sum or compare",
        "Sums and means are taken of numbers, money, durations and sizes; least and most of what "
        "has an order.",
        "entity Account { id text key, name text }\nfn f() = sum(Account.name)",
    ),
    "E0322": Code(
        "unknown format",
        "A value inside a text may have a format: zeros, groups, decimals, or a date's pattern.",
        'fn f(x: number) -> text = "{x:abc}"',
    ),
    "E0323": Code(
        "a value without fields",
        "Texts, numbers, money, times and lists have no fields.",
        "fn f(price: money) -> number = price.cents",
    ),
    "E0324": Code(
        "a case stands twice",
        "The first one takes it; the second is never reached.",
        'fn f(x: text) -> number = match x { "a" => 1, "a" => 2, else => 3 }',
    ),
    "E0325": Code(
        "a case that never matches",
        "The case is of another type than what is matched.",
        'fn f(x: number) -> number = match x { "a" => 1, else => 3 }',
    ),
    "E0326": Code(
        "nothing to spread",
        "`...value` spreads a payload, a row or a map.",
        "fn f(x: number) = { ...x }",
    ),
    "W0325": Code(
        "a `$` before a value in a text",
        "Braces alone hold an expression; a `$` before them is a sign of the text. Money prints "
        "with its currency's code.",
        'on A.b as e { log "${e.type}" }                        # W0325: "{e.type}"',
    ),
    "W0326": Code(
        "a step that looks like decimals",
        "`round`, `floor` and `ceil` take the step to round to: 0.01 for two decimals.",
        "fn f(x: number) -> number = round(x, 2)                # W0326: round(x, 0.01)",
    ),
    "W0330": Code(
        "a date that equals an instant",
        "A date is its midnight beside an instant, and a handler hardly ever runs right at "
        "midnight: `today` is the date of `now`.",
        "entity Account { id text key, ends date }\n"
        'every day at 06:00 { log "{count(Account where .ends == now)}" }   # W0330: today',
    ),
    "W0301": Code(
        "not all values are matched",
        "For a value without a case nothing happens, or a `match` has no value.",
        'entity Account { id text key, status "trial" | "active" }\n'
        'on Account.created as e { match e.account.status { "trial" => { log "new" } } }',
    ),
}

TYPES: dict[str, Code] = UNITS | COMPARING | VALUES
