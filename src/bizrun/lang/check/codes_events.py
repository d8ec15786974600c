"""What the codes E07 to E08 and W07 to W08 mean: lifecycles, triggers, events, services."""

from __future__ import annotations

from ...codes import Code

_ORDER = 'entity Order {\n  id text key\n  status "new" | "paid" | "sent" = "new"\n}\n'

EVENTS = {
    "E0701": Code(
        "a lifecycle of nothing",
        "A lifecycle belongs to a field of an entity.",
        _ORDER + "lifecycle Order.state {     # E0701: Order.status\n"
        '  start "new"\n  "new" -> "paid" after 1 day\n}',
    ),
    "E0703": Code(
        "a lifecycle of a field without states",
        "States are texts: a union of them, or `text`.",
        "entity Order {\n  id text key\n  total money\n}\n"
        'lifecycle Order.total {     # E0703\n  start "new"\n}',
    ),
    "E0704": Code(
        "an unknown state",
        "The field's union lists the states that there are.",
        _ORDER + 'lifecycle Order.status {\n  start "new"\n'
        '  "new" -> "payed" after 1 day   # E0704: "paid"\n  "paid" -> "sent" after 1 day\n}',
    ),
    "E0705": Code(
        "a lifecycle without a start",
        "A new row has to be in some state.",
        _ORDER + 'lifecycle Order.status {    # E0705\n  "new" -> "paid" after 1 day\n'
        '  "paid" -> "sent" after 1 day\n}',
    ),
    "E0706": Code(
        "an arrow after no time",
        "`after` counts from the moment at which the state was entered.",
        _ORDER + 'lifecycle Order.status {\n  start "new"\n'
        '  "new" -> "paid" after 0 days   # E0706\n  "paid" -> "sent" after 1 day\n}',
    ),
    "E0707": Code(
        "two arrows for one event",
        "In one state one event leads to one state, unless a `where` tells the arrows apart.",
        _ORDER + 'lifecycle Order.status {\n  start "new"\n'
        '  "new" -> "paid" on Payment.succeeded\n'
        '  "new" -> "sent" on Payment.succeeded   # E0707\n}',
    ),
    "E0708": Code(
        "an arrow from a state that is never reached",
        "No chain of arrows leads from the start to this state.",
        _ORDER + 'lifecycle Order.status {\n  start "new"\n  "new" -> "sent" after 1 day\n'
        '  "paid" -> "sent" after 1 day   # E0708\n}',
    ),
    "E0709": Code(
        "an update to a state that no arrow leads to",
        "A change that is no arrow of the lifecycle is refused when it happens; this one always "
        "would be.",
        _ORDER + 'lifecycle Order.status {\n  start "new"\n  "new" -> "paid" after 1 day\n}\n'
        "on Order.created as e {\n"
        '  update e.order { status: "sent" }   # E0709\n}',
    ),
    "W0701": Code(
        "a state without a way out",
        "A state that nothing leaves is final. This one starts the lifecycle, or its name says "
        "that it waits for something.",
        'entity Order {\n  id text key\n  status "new" | "pending" = "new"\n}\n'
        'lifecycle Order.status {\n  start "new"\n  "new" -> "pending" after 1 day   # W0701\n}',
    ),
    "W0702": Code(
        "a state that the lifecycle leaves out",
        "The union lists a state that no arrow leads to.",
        _ORDER + 'lifecycle Order.status {    # W0702: "sent"\n  start "new"\n'
        '  "new" -> "paid" after 1 day\n}',
    ),
    "W0703": Code(
        "an arrow on an event that names no row",
        "An event moves the row that it is about: its `subject`, or the one field it has of that "
        "entity. This one has no such field, so only a `subject` in its envelope could tell.",
        _ORDER + 'event Day.closed { day date }\nlifecycle Order.status {\n  start "new"\n'
        '  "new" -> "paid" on Day.closed   # W0703\n  "paid" -> "sent" after 1 day\n}',
    ),
    "W0710": Code(
        "an event that nothing listens to",
        "No handler, meter, lifecycle or wait is about it. Of an event that is declared this is "
        "said where the spec does not send it for others either.",
        "event Order.lost { id text }   # W0710",
    ),
    "W0711": Code(
        "a trigger that nothing listens to",
        "The condition is watched, and what it emits is not handled.",
        "entity Account { id text key, score number }\n"
        "trigger Account.star for Account when .score reaches 10   # W0711",
    ),
    "E0710": Code(
        "two beginnings",
        "A new row begins in the default of its field; where a lifecycle says another start, one "
        "of them is wrong.",
        _ORDER + 'lifecycle Order.status {\n  start "paid"   # E0710\n'
        '  "paid" -> "sent" after 1 day\n  "sent" -> "new" after 1 day\n}',
    ),
    "E0720": Code(
        "a condition that never changes",
        "A trigger fires when its condition turns true. One without a field or function has the "
        "same value for ever.",
        "entity Account { id text key, score number }\n"
        "trigger Account.star for Account when 10 > 5   # E0720\n"
        'on Account.star as e { log "star" }',
    ),
    "E0721": Code(
        "`once per period` without a period",
        "The billing period is that of a customer: the trigger's entity is the one that `bills` "
        "names, or has a field of it.",
        'business "A" { bills Account }\nentity Account { id text key }\n'
        "entity Part { id text key, stock number }\n"
        "trigger Part.low for Part when .stock drops below 5 once per period   # E0721\n"
        'on Part.low as e { log "low" }',
    ),
    "E0722": Code(
        "a text can't reach anything",
        "`reaches` and `drops below` compare amounts that grow and shrink.",
        "entity Account { id text key, grade text }\n"
        'trigger Account.star for Account when .grade reaches "A"   # E0722\n'
        'on Account.star as e { log "star" }',
    ),
    "E0723": Code(
        "a bound that is never crossed",
        "Sizes, counts, ages and usage are never below 0.",
        "entity Account { id text key, used size }\n"
        "trigger Account.empty for Account when .used drops below 0 GB   # E0723\n"
        'on Account.empty as e { log "empty" }',
    ),
    "E0724": Code(
        "a condition that contradicts itself",
        "Its parts can't be true together, so the trigger never fires.",
        "entity Account { id text key, score number }\n"
        "trigger Account.odd for Account when .score > 10 and .score < 5   # E0724\n"
        'on Account.odd as e { log "odd" }',
    ),
    "E0730": Code(
        "events that cause each other without an end",
        "Each handler on this circle emits the next event in every run, so the first event would "
        "never be done. A condition, a wait or a delay on the way can end it.",
        "event A.one { id text }\nevent B.two { id text }\n"
        "on A.one as a { emit B.two { id: a.id } }   # E0730\n"
        "on B.two as b { emit A.one { id: b.id } }",
    ),
}

SERVICES = {
    "E0801": Code(
        "a cron line that is none",
        "Minute, hour, day of the month, month, day of the week; each in its bounds, and together "
        "a day that there is.",
        'every "0 0 31 2 *" { log "never" }   # E0801',
    ),
    "E0802": Code(
        "a day that there isn't",
        "A month has the days 1 to 31, a year days like `03-31`.",
        'every month on 32 { log "never" }   # E0802',
    ),
    "E0803": Code(
        "an interval that does not say when",
        "Minutes, hours and days repeat evenly. Months don't: say on which day.",
        'every 3 months { log "quarter" }   # E0803: every "0 0 1 */3 *"',
    ),
    "E0804": Code(
        "a schedule in an unknown time zone",
        "Zones are named as in the IANA database.",
        'every day at 09:00 in "Berlin" { log "tick" }   # E0804: "Europe/Berlin"',
    ),
    "E0805": Code(
        "an unknown way to catch up",
        "After a pause a schedule ticks for `all` due times, or for the `last` one.",
        'every day at 09:00 catch up lost { log "tick" }   # E0805: last',
    ),
    "E0806": Code(
        "a rhythm that there isn't",
        "A schedule says minute, hour, day, weekday, week, month, quarter, year or a day's name.",
        'every mondya at 08:00 { log "tick" }   # E0806: monday',
    ),
    "E0807": Code(
        "a time of day where there is one already",
        "Minutes and hours repeat all day, and a cron line says its own time. Days and weeks take "
        "`at`.",
        'every 15 minutes at 09:00 { log "tick" }   # E0807: every day at 09:00',
    ),
    "W0801": Code(
        "a day that some months don't have",
        "In a shorter month the schedule runs on the last day.",
        'every month on 31 { log "tick" }   # W0801: on last day',
    ),
    "E0810": Code(
        "a route that stands twice",
        "A method and a path lead to one api.",
        'api GET "/usage" () { return 1 }\napi GET "/usage" () { return 2 }   # E0810',
    ),
    "E0811": Code(
        "a path's place without a name of its own",
        "What stands in braces in a path is a parameter of the api, declared behind the path or a "
        "text.",
        'api GET "/from/{id}/to/{id}" () { return id }   # E0811',
    ),
    "E0812": Code(
        "a path that does not begin with /",
        "Paths are given from the root of the server.",
        'api GET "usage" () { return 1 }   # E0812: "/usage"',
    ),
    "E0813": Code(
        "an unknown method",
        "An api answers GET, POST, PUT, PATCH or DELETE.",
        'api GTE "/usage" () { return 1 }   # E0813: GET',
    ),
    "E0814": Code(
        "an unknown role",
        "An api may ask for a role, or for what some role can.",
        'business "A" { bills C }\nentity C { id text key }\nrole admin { can usage.read }\n'
        'api GET "/usage" () for customer can usage.raed { return 1 }   # E0814',
    ),
    "E0833": Code(
        "an experiment by nothing known",
        "Behind `by` stands whom a variant is given to: `customer`, or another entity of the spec.",
        'business "A" { bills C }\nentity C { id text key }\n'
        "experiment prices by custmer { variant low 0.9, variant base 1 }   # E0833: customer",
    ),
    "W0813": Code(
        "a permission that no role has",
        "`can` is always false of what no role can.",
        "role writer { can pages.write }\nentity User { id text key, role text }\n"
        'fn may(user: User) -> bool = user.role can "pages.wirte"   # W0813: pages.write',
    ),
    "W0814": Code(
        "a right to all that is a mere word",
        "A role may do what it names. Everything is `*`, all of a kind `pages.*`.",
        "role owner { all }   # W0814: *",
    ),
    "W0810": Code(
        "a connection does not read this",
        "The built-in services read a fixed list of keys.",
        'connect stripe { kee: env("STRIPE_API_KEY") }   # W0810: key',
    ),
    "E0820": Code(
        "a secret in the spec",
        "A spec is read by many and kept for ever. Secrets come from the environment when they "
        "are needed.",
        'connect stripe { key: "sk_live_123" }   # E0820: env("STRIPE_API_KEY")',
    ),
    "E0821": Code(
        "a setting of a connection that can't be",
        "A connection says whether a call may be made twice where its answer was lost "
        '(`"at_least_once"`), never (`"at_most_once"`), or is told apart by its Idempotency-Key '
        '(`"idempotent"`); and it proves who calls by `bearer`, `basic`, `header` or `hmac`.',
        'connect shippo { url: "https://api.goshippo.com", delivery: "at_most_one" }   # E0821',
    ),
    "E0822": Code(
        "an address that is none",
        "A connection calls an address of HTTP.",
        'connect shippo { url: "api.goshippo.com" }   # E0822: https://api.goshippo.com',
    ),
    "W0811": Code(
        "a secret in the clear",
        "Over http:// everybody on the way reads what is sent.",
        'connect shippo { url: "http://api.goshippo.com", auth: bearer(env("T")) }   # W0811',
    ),
    "W0812": Code(
        "a connection without an address",
        "Only the built-in providers know theirs.",
        'connect shippo { auth: bearer(env("SHIPPO_TOKEN")) }   # W0812: url',
    ),
    "W0820": Code(
        "a metric without values",
        "A metric has a value that is computed, or points that `record` adds.",
        "metric nps: number         # W0820",
    ),
    "E0831": Code(
        "two variants of one name",
        "Results are told apart by it.",
        "experiment price_test by customer {\n  variant low 0.9\n"
        "  variant low 1.1          # E0831\n}",
    ),
    "E0832": Code(
        "variants of different types",
        "`variant(experiment, x)` has one type, whichever variant x is assigned.",
        "experiment price_test by customer {\n  variant low 0.9\n"
        "  variant high 1 USD       # E0832\n}",
    ),
    "W0834": Code(
        "a test's clock that goes back",
        "Time goes on in a test as it does elsewhere. An event that comes late has a time of its "
        "own: `emit … at 2026-01-01T09:00:00Z`.",
        'test "a month" {\n  at 2026-02-01\n  advance to 2026-01-01   # W0834\n  expect 1 == 1\n}',
    ),
    "W0830": Code(
        "two tests of one title",
        "A failure would not tell which of them it was.",
        'test "a" { expect 1 == 1 }\ntest "a" { expect 2 == 2 }   # W0830',
    ),
    "W0831": Code(
        "a test without an expectation",
        "It only fails where something breaks.",
        'test "nothing" { advance 1 day }   # W0831',
    ),
    "W0832": Code(
        "a call by nobody",
        "A route that is `for` somebody refuses who does not say who they are.",
        'api GET "/usage" for customer { return 1 }\n'
        'test "usage" { call GET "/usage" }   # W0832: as Account("a1")',
    ),
    "E0841": Code(
        "a template that can't be read",
        "Templates are Jinja2.",
        'template welcome { subject "Hi", body "Hello {% if %}" }   # E0841\n'
        "event User.joined { email text }\non User.joined as u {\n"
        '  email { to: u.email, template: "welcome" }\n}',
    ),
    "E0842": Code(
        "a template uses a name that it isn't given",
        "A template sees what the email's `data` gives it, and `business`, `now` and `today`.",
        'template welcome { subject "Hi", body "Hello {{ name }}" }\n'
        "event User.joined { email text }\non User.joined as u {\n"
        '  email { to: u.email, template: "welcome" }   # E0842: data: { name: … }\n}',
    ),
    "E0843": Code(
        "a template uses a field that there isn't",
        "What `data` gives has this type, which has no such field.",
        'template welcome { subject "Hi", body "Hello {{ user.nam }}" }   # E0843\n'
        "entity User { id text key, name text, email text }\n"
        "event User.joined { user User }\non User.joined as u {\n"
        '  email { to: u.user.email, template: "welcome", data: { user: u.user } }\n}',
    ),
    "E0850": Code(
        "an AI's answer decides an amount or a payee",
        "An answer may be wrong, or be made so by what a stranger wrote. How much money moves, and "
        "to whom, is bounded by a rule: `min(…, 100 USD)`, a comparison before, a choice in the "
        "schema.",
        'business "A" { currency USD, bills User }\nentity User { id text key }\n'
        "event Claim.made { user User, text text }\non Claim.made(user, text) {\n"
        '  let found = ai.decide { prompt: text, schema: { amount: "money" } }\n'
        "  if found == none { return }\n"
        "  credit { customer: user, amount: found.amount }   # E0850: min(found.amount, 20 USD)\n}",
    ),
    "W0840": Code(
        "a template that no email uses",
        "No `email` action of the spec names it.",
        'template welcome { subject "Hi", body "Hello" }   # W0840',
    ),
    "W0841": Code(
        "one brace in a template",
        "Templates are Jinja2: `{{ name }}` prints a value, `{name}` is printed as it stands.",
        'template welcome { subject "Hi", body "Hello {name}" }   # W0841\n'
        "event User.joined { email text, name text }\non User.joined as u {\n"
        '  email { to: u.email, template: "welcome", data: { name: u.name } }\n}',
    ),
    "W0842": Code(
        "a template without a body",
        "An email has a subject, and a body below it.",
        'template welcome { subject "Hi" }   # W0842: body """Hello"""\n'
        "event User.joined { email text }\non User.joined as u {\n"
        '  email { to: u.email, template: "welcome" }\n}',
    ),
}

CODES: dict[str, Code] = EVENTS | SERVICES
