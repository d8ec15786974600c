"""What the codes E05 to E06 and W06 mean, and all of declarations: files, plans, meters."""

from __future__ import annotations

from ...codes import Code
from .codes_events import CODES as EVENTS
from .codes_identity import CODES as IDENTITY

FILES = {
    "E0501": Code(
        "a used file isn't there",
        "`use` names a file relative to the file that it stands in. Nothing that the missing file "
        "declares is visible.",
        'use "./plns.biz"        # there is ./plans.biz',
    ),
    "E0502": Code(
        "files use each other in a circle",
        "A file is read after all that it uses; in a circle there is no such order. Move what both "
        "need to a third file.",
        '# a.biz: use "./b.biz"\n# b.biz: use "./a.biz"',
    ),
    "E0503": Code(
        "no such module of the standard library",
        "`use std.name` reads a module that comes with bizrun.",
        "use std.duning          # there is std.dunning",
    ),
    "E0504": Code(
        "a template file can't be read",
        "Templates beside the spec are UTF-8 text of at most 2 MB.",
        "templates/welcome.md saved as UTF-16",
    ),
    "E0505": Code(
        "`use … for` names what isn't there",
        "`use std.sla for Case as Ticket` says that what the module calls `Ticket` is your `Case`. "
        "The first name is an entity or meter of yours, the second one that the module is `given`.",
        "entity Case { id text key, priority text, replied time?, resolved time? }\n"
        "use std.sla for Case as Tiket     # E0505: did you mean `Ticket`?",
    ),
    "E0506": Code(
        "a used file does not fit this spec",
        "A module speaks of entities and meters of yours: of who pays, of a `Ticket`. It says with "
        "`given` which fields it reads; yours need them, with types that fit.",
        "entity Ticket { id text key, replied time?, resolved time? }\n"
        "use std.sla                       # E0506: it needs `priority text`",
    ),
    "E0507": Code(
        "nothing to override",
        "`override` replaces a declaration of a used file by one of the same kind and name, a "
        "handler by one of the same events. What replaces nothing would be without effect.",
        "override const remind = 3 days    # E0507: no file is used here",
    ),
    "E0508": Code(
        "what overrides does not fit",
        "What relies on the replaced declaration has to go on working: a constant keeps its type, "
        "a function its parameters and result, a trigger its entity. Entities are not replaced: "
        "`extend entity` adds fields.",
        "override entity Invoice { memo text? }       # E0508: extend entity Invoice { … }",
    ),
}

BUSINESS = {
    "E0511": Code(
        "unknown setting",
        "A business block has a fixed list of settings; one that is not on it would be without "
        "effect, so it is most likely mistyped.",
        'business "Acme" {\n  curency USD              # E0511: did you mean `currency`?\n}',
    ),
    "E0512": Code(
        "a setting has a value that it can't have",
        "Settings choose between the rules that BILLING names, or take a value of one kind.",
        'business "Acme" {\n  rounding down            # E0512: half_up or half_even\n}',
    ),
    "E0513": Code(
        "a setting stands twice",
        "Only one of the two could hold; bizrun does not guess which.",
        'business "Acme" {\n  currency USD\n  currency EUR             # E0513\n}',
    ),
    "E0514": Code(
        "unknown currency",
        "Currencies are the codes of ISO 4217, in capitals; the code decides how many digits an "
        "amount is rounded to.",
        'business "Acme" {\n  currency US              # E0514: USD\n}',
    ),
    "E0515": Code(
        "unknown time zone",
        "Days, months and schedules follow the business time zone, named as in the IANA database.",
        'business "Acme" {\n  timezone "Berlin"        # E0515: "Europe/Berlin"\n}',
    ),
    "E0516": Code(
        "the file is written for a later language",
        "`language` names the edition that a file needs. A bizrun that does not know it would "
        "misread the file.",
        'business "Acme" {\n  language 9               # E0516\n}',
    ),
    "E0520": Code(
        "a field stands twice in an index",
        "The second one adds nothing.",
        "entity Account {\n  status text\n  index status, status     # E0520\n}",
    ),
    "E0521": Code(
        "a key that can't be one",
        "Each row is found by its key, which is always one text: the key of an entity, a plan and "
        'one of a few words are texts too. A number or a day becomes one by `"{n}"`.',
        "entity Account {\n  id text? key             # E0521: text key\n}",
    ),
}

PLANS = {
    "E0601": Code(
        "tiers that don't rise",
        "Tiers are read from below; one whose bound is not above the one before it would hold "
        "nothing.",
        'business "A" { bills C }\nentity C { id text key }\nevent API.called { c C }\n'
        "meter calls { count API.called per c }\n"
        "plan pro {\n  price 9 USD per month\n  usage calls graduated {\n    up to 100: free\n"
        "    up to 50: 1 USD        # E0601\n    above: 2 USD\n  }\n}",
    ),
    "E0602": Code(
        "tiers that end",
        "Units above the last bound would have no price. `above` says what they cost; tiers of "
        "seats may end where `seats 1..10` does.",
        'business "A" { bills C }\nentity C { id text key }\nevent API.called { c C }\n'
        "meter calls { count API.called per c }\n"
        "plan pro {\n  price 9 USD per month\n"
        "  usage calls graduated {\n    up to 100: 1 USD       # E0602: add `above: …`\n  }\n}",
    ),
    "E0603": Code(
        "a tier's bound is no number of units",
        "`up to N` includes the Nth unit, so N is a number or size above 0.",
        'business "A" { bills C }\nentity C { id text key }\nevent API.called { c C }\n'
        "meter calls { count API.called per c }\n"
        "plan pro {\n  price 9 USD per month\n"
        "  usage calls volume {\n    up to 0: 1 USD         # E0603\n    above: 2 USD\n  }\n}",
    ),
    "E0604": Code(
        "`above` before another tier",
        "`above` holds everything above the tiers before it; nothing is left for a later one.",
        'business "A" { bills C }\nentity C { id text key }\nevent API.called { c C }\n'
        "meter calls { count API.called per c }\n"
        "plan pro {\n  price 9 USD per month\n"
        "  usage calls volume {\n    above: 2 USD           # E0604\n    up to 9: 1 USD\n  }\n}",
    ),
    "E0605": Code(
        "two prices for one thing",
        "A plan may have a price for each currency and interval, and one for each kind of unit; "
        "with two for the same, no one knows which holds.",
        "plan pro {\n  price 99 USD per month\n  price 89 USD per month   # E0605\n}",
    ),
    "E0607": Code(
        "a line of a plan stands twice",
        "Only one of the two could hold.",
        "plan pro {\n  price 99 USD per month\n  trial 7 days\n"
        "  trial 14 days            # E0607\n}",
    ),
    "E0608": Code(
        "a minimum above the maximum",
        "No amount is both.",
        "plan pro {\n  price 9 USD per month\n  minimum 90 USD           # E0608\n"
        "  maximum 50 USD\n}",
    ),
    "E0609": Code(
        "usage or a phase in another currency than the plan",
        "An invoice has one currency. Usage, or a phase, priced in a currency that the plan has no "
        "price in could stand on no invoice of it.",
        'business "A" { bills C }\nentity C { id text key }\nevent API.called { c C }\n'
        "meter calls { count API.called per c }\n"
        "plan pro {\n  price 99 USD per month\n  usage calls: 0.01 EUR    # E0609\n}",
    ),
    "E0611": Code(
        "a price without an amount or an interval",
        "A plan is paid period by period. A price that is paid once belongs to an add-on, or to "
        "`invoice { lines: … }`.",
        "plan pro {\n  price 99 USD             # E0611: per month\n}",
    ),
    "E0612": Code(
        "a line of a plan has a value that it can't have",
        "Minimum, maximum and thresholds are amounts above 0; allowances numbers or sizes; seats a "
        "range.",
        "plan pro {\n  price 99 USD per month\n  seats 9..3               # E0612\n}",
    ),
    "E0613": Code(
        "a trial of no length",
        "A trial lasts for a time after the subscription begins.",
        "plan pro {\n  price 99 USD per month\n  trial 0 days             # E0613\n}",
    ),
    "E0614": Code(
        "a mistyped line of a plan",
        "A plan may have fields of the author's own, but this one is almost a word that billing "
        "knows.",
        "plan pro {\n  price 99 USD per month\n  trail 14 days            # E0614: trial\n}",
    ),
    "E0615": Code(
        "a limit that is none",
        "A limit is a number, a size or `unlimited`, and of the same kind in every plan, so that "
        "`limit(account, name)` has one type.",
        "plan pro {\n  price 99 USD per month\n  limits { storage: 14 days }   # E0615\n}",
    ),
    "E0616": Code(
        "a phase of no length",
        "Phases follow each other; each lasts for a time.",
        "plan pro {\n  price 99 USD per month\n"
        '  phase "launch" for 0 months { price 49 USD per month }   # E0616\n}',
    ),
    "E0617": Code(
        "dated versions out of order",
        "Each version holds from its date to the next one's, so dates rise.",
        "plan pro {\n  price 99 USD per month\n"
        "  from 2027-01-01 { price 109 USD per month }\n"
        "  from 2026-01-01 { price 119 USD per month }   # E0617\n}",
    ),
    "E0618": Code(
        "`only` names no plan",
        "A coupon that holds for some plans, add-ons or meters names them, an add-on its plans.",
        "plan pro { price 99 USD per month }\ncoupon TEAM { 20% off, only [por] }   # E0618: pro",
    ),
    "E0619": Code(
        "a usage period that does not fit",
        "Usage may be rated more often than the plan is paid, so often that both end together: "
        "monthly under a yearly price. An allowance of a year that is paid by the month is a plan "
        "of its own, which a customer has besides: `plan pool { price 0 USD per year, includes "
        "1_200 calls, usage calls: 0.01 USD }`.",
        'business "A" { bills C }\nentity C { id text key }\nevent API.called { c C }\n'
        "meter calls { count API.called per c }\n"
        "plan pro {\n  price 99 USD per month\n  usage calls per year: 0.01 USD   # E0619\n}",
    ),
    "E0620": Code(
        "an amount without a currency",
        "Prices are money, or percentages of a metered amount.",
        "plan pro {\n  price 99 per month       # E0620: 99 USD\n}",
    ),
    "E0621": Code(
        "an amount below 0",
        "A price is never negative; a coupon or a credit takes something off.",
        "const rebate = -5 USD\nplan pro {\n  price rebate per month   # E0621\n}",
    ),
    "E0622": Code(
        "a dimension that the meter does not count by",
        "A price for each value of a dimension needs a meter that keeps those values apart.",
        'business "A" { bills C }\nentity C { id text key }\n'
        "event API.called { c C, endpoint text }\n"
        "meter calls { count API.called per c }\n"
        "plan pro {\n  price 99 USD per month\n"
        '  usage calls per endpoint { "chat": 0.02 USD, else: 0.01 USD }   # E0622\n}',
    ),
    "E0623": Code(
        "a value with two prices",
        "Each value of a dimension has one.",
        'business "A" { bills C }\nentity C { id text key }\n'
        "event API.called { c C, endpoint text }\n"
        "meter calls { count API.called per c by endpoint }\n"
        "plan pro {\n  price 99 USD per month\n  usage calls per endpoint {\n"
        '    "chat": 0.02 USD\n    "chat": 0.03 USD       # E0623\n    else: 0.01 USD\n  }\n}',
    ),
    "E0624": Code(
        "a value that the dimension never has",
        "The event declares which values the field may have.",
        'business "A" { bills C }\nentity C { id text key }\n'
        'event API.called { c C, endpoint "chat" | "embed" }\n'
        "meter calls { count API.called per c by endpoint }\n"
        "plan pro {\n  price 99 USD per month\n  usage calls per endpoint {\n"
        '    "chta": 0.02 USD       # E0624\n    else: 0.01 USD\n  }\n}',
    ),
    "E0625": Code(
        "an empty package",
        "A package holds a number of units above 0.",
        'business "A" { bills C }\nentity C { id text key }\nevent API.called { c C }\n'
        "meter calls { count API.called per c }\n"
        "plan pro {\n  price 99 USD per month\n  usage calls package of 0: 5 USD   # E0625\n}",
    ),
    "E0626": Code(
        "two currencies in one price",
        "A price is in one currency; each currency has a line of its own.",
        'business "A" { bills C }\nentity C { id text key }\nevent API.called { c C }\n'
        "meter calls { count API.called per c }\n"
        "plan pro {\n  price 99 USD per month\n"
        "  usage calls: 0.01 USD + 1 EUR flat   # E0626\n}",
    ),
    "E0627": Code(
        "a bound for each event that can't be kept",
        "`at most 5 USD per payment` bounds what a single event costs. It stands with one rate of "
        "a meter that sums or counts: in tiers and packages it is not said which event a unit "
        "belongs to.",
        'business "A" { bills C }\nentity C { id text key }\n'
        "event Card.paid { c C, amount money }\n"
        "meter payments { sum amount of Card.paid per c }\n"
        "plan pro {\n  price 99 USD per month\n"
        "  usage payments graduated {\n    up to 100: 2% at most 5 USD per payment   # E0627\n"
        "    above: 1%\n  }\n}",
    ),
    "E0628": Code(
        "a price for a unit that the meter does not count in",
        "What a meter of sizes counts is priced per B, KB, MB, GB, TB or PB.",
        'business "A" { bills C }\nentity C { id text key }\nevent Disk.read { c C, bytes size }\n'
        "meter disk { average bytes of Disk.read per c unit GB }\n"
        "plan pro {\n  price 9 USD per month\n"
        "  usage disk: 0.02 USD per gigabyte   # E0628: GB\n}",
    ),
    "E0629": Code(
        "an allowance that can't be carried over",
        "What is left of an allowance when its usage is rated goes on to the next period, so its "
        "meter has a usage price in the plan (`free` is one). It lasts for 1 period or more.",
        'business "A" { bills C }\nentity C { id text key }\nevent API.called { c C }\n'
        "meter calls { count API.called per c }\n"
        "plan pro {\n  price 99 USD per month\n"
        "  includes 1000 calls carried over   # E0629: usage calls: 0.01 USD\n}",
    ),
    "W0601": Code(
        "a plan without a price",
        "Nothing will ever be invoiced for it. Where that is meant, a price of 0 says so.",
        "plan free {                # W0601: price 0 USD per month\n  limits { users: 1 }\n}",
    ),
    "W0602": Code(
        "a feature listed twice",
        "The second one adds nothing.",
        'plan pro {\n  price 9 USD per month\n  features ["api", "api"]   # W0602\n}',
    ),
    "W0604": Code(
        "a feature that no plan has",
        "`has_feature` is always false of a feature that neither a plan nor an add-on lists.",
        'business "A" { bills C }\nentity C { id text key }\n'
        'plan pro {\n  price 9 USD per month\n  features ["sso"]\n}\n'
        'fn may(c: C) -> bool = has_feature(c, "ssso")   # W0604: sso',
    ),
    "W0603": Code(
        "values of a dimension without a price",
        "Usage with a value that no case names is not priced. `else` gives the rest a price.",
        'business "A" { bills C }\nentity C { id text key }\n'
        "event API.called { c C, endpoint text }\n"
        "meter calls { count API.called per c by endpoint }\n"
        "plan pro {\n  price 99 USD per month\n"
        '  usage calls per endpoint { "chat": 0.02 USD }   # W0603\n}',
    ),
}

METERS = {
    "E0640": Code(
        "a meter of an unknown event",
        "This event is not declared, and its name is almost one that is: the meter would count "
        "nothing.",
        'business "A" { bills C }\nentity C { id text key }\nevent API.called { c C }\n'
        "meter calls { count API.caled per c }   # E0640",
    ),
    "E0641": Code(
        "a meter of an unknown field",
        "What a meter sums is a field of its event.",
        'business "A" { bills C }\nentity C { id text key }\n'
        "event API.called { c C, units number }\n"
        "meter calls { sum unit of API.called per c }   # E0641: units",
    ),
    "E0642": Code(
        "a meter that computes with a text",
        "Sums, maxima and averages need numbers, amounts, sizes or durations.",
        'business "A" { bills C }\nentity C { id text key }\n'
        "event API.called { c C, endpoint text }\n"
        "meter calls { sum endpoint of API.called per c }   # E0642",
    ),
    "E0643": Code(
        "a meter that does not find its customer",
        "`per` names the field of the event that holds who is billed.",
        'business "A" { bills C }\nentity C { id text key }\n'
        "event API.called { c C, endpoint text }\n"
        "meter calls { count API.called per endpoint }   # E0643: per c",
    ),
    "E0644": Code(
        "a dimension that the event does not have",
        "`by` names fields of the event.",
        'business "A" { bills C }\nentity C { id text key }\nevent API.called { c C }\n'
        "meter calls { count API.called per c by endpoint }   # E0644",
    ),
    "E0646": Code(
        "a meter without customers",
        "Usage is kept by customer. The business block says which entity that is.",
        'business "A" { currency USD }\nentity C { id text key }\nevent API.called { c C }\n'
        "meter calls { count API.called per c }   # E0646: bills C",
    ),
    "E0647": Code(
        "no unit of size",
        "A meter of sizes is rated in B, KB, MB, GB, TB or PB.",
        'business "A" { bills C }\nentity C { id text key }\nevent Disk.read { c C, bytes size }\n'
        "meter disk { average bytes of Disk.read per c unit GIB }   # E0647: GB",
    ),
    "W0605": Code(
        "a line that means nothing in an add-on or a phase",
        "An add-on has no trial and no bounds of its own: it is billed with its plan, whose trial, "
        "minimum, maximum and threshold hold for it too. A phase has no trial: it begins where "
        "that ends.",
        "addon support {\n  price 20 USD per month\n  minimum 30 USD   # W0605\n}",
    ),
    "W0606": Code(
        "a term of a customer that is no duration",
        "A customer's `due_after` says how long it has to pay what is sent to it, its "
        "`invoice_grace` how long its invoices stay drafts; of another type they say nothing, and "
        "the business's `due after` and `grace` hold.",
        'business "A" { bills C }\n'
        "entity C { id text key, due_after integer }   # W0606: duration?",
    ),
    "W0607": Code(
        "two amounts that are charged for each unit",
        "Without `per …` or `flat` an amount is for each unit, so that two of them add up.",
        'business "A" { bills C }\nentity C { id text key }\n'
        "event Card.charged { c C, amount money }\n"
        "meter payments { sum amount of Card.charged per c }\n"
        "plan pro {\n  price 9 USD per month\n"
        "  usage payments: 2.9% + 0.30 USD   # W0607: per payment\n}",
    ),
    "W0608": Code(
        "a percentage of what is no amount",
        "A percentage is of a metered amount; a number of events or of bytes is none.",
        'business "A" { bills C }\nentity C { id text key }\n'
        "event Card.charged { c C, amount money }\n"
        "meter payments { count Card.charged per c }\n"
        "plan pro {\n  price 9 USD per month\n"
        "  usage payments: 2.9%   # W0608: sum amount of Card.charged\n}",
    ),
    "W0609": Code(
        "a quantity that no price counts",
        "A subscription carries a quantity for prices `per seat`; of a plan that has none, three "
        "cost as much as one.",
        'business "A" { bills C }\nentity C { id text key }\n'
        "plan pro { price 9 USD per month }       # per seat per month\n"
        "on C.created as e { subscribe { customer: e.c, plan: pro, quantity: 3 } }   # W0609",
    ),
    "W0610": Code(
        "a phase that ends within a period",
        "A price is for a whole period, so that the terms of a phase hold for the periods that "
        "begin in it: to the end of the month in which the 14 days are over. A `trial` ends on its "
        "day, and the first period begins there.",
        'business "A" { bills C }\nentity C { id text key }\n'
        "plan pro {\n  price 9 USD per month\n"
        '  phase "free" for 14 days { price 0 USD per month }   # W0610: trial 14 days\n}',
    ),
    "W0611": Code(
        "a price above the plan's maximum",
        "A maximum is what a period costs at most, its price and its usage together, whichever "
        "interval the price is for: a yearly price is lowered to the maximum that was meant for a "
        "month. A cap on usage alone stands with it: `usage calls: 0.01 USD at most 50 USD`.",
        'business "A" { bills C }\nentity C { id text key }\nevent API.called { c C }\n'
        "meter calls { count API.called per c }\n"
        "plan pro {\n  price 9 USD per month\n  price 90 USD per year    # W0611\n"
        "  usage calls: 1 USD\n  maximum 50 USD\n}",
    ),
    "W0612": Code(
        "a dunning that never holds",
        "A business has one dunning: the one that it names (`business … { dunning gentle }`), else "
        "the first of the spec. The others do nothing.",
        'business "A" { bills C }\nentity C { id text key }\n'
        "dunning standard { retry after 3 days, then suspend }\n"
        "dunning strict { retry after 1 day, then cancel }   # W0612",
    ),
    "W0613": Code(
        "a price for so many units, each of them charged when it is begun",
        "`per 1_000_000` counts started packages, as it does within tiers: a single token costs "
        "as much as a million. A price list that says so of tokens mostly means a part of it for "
        "each: `2.50 USD / 1_000_000`. Where a begun one counts whole, `package of 1_000_000: "
        "2.50 USD` says so.",
        'business "A" { bills C }\nentity C { id text key }\n'
        "event Text.made { c C, tokens number }\n"
        "meter tokens { sum tokens of Text.made per c }\n"
        "plan pro {\n  price 9 USD per month\n"
        "  usage tokens: 2.50 USD per 1_000_000   # W0613: 2.50 USD / 1_000_000\n}",
    ),
    "W0640": Code(
        "a meter of an undeclared event",
        "Its payload is not known, so nothing tells whether it has the fields that are counted.",
        'business "A" { bills C }\nentity C { id text key }\n'
        "meter logins { count Member.login per c }   # W0640",
    ),
    "E0651": Code(
        "a coupon over everything, or over nothing",
        "A discount is more than 0 and at most 100%.",
        "coupon WELCOME { 250% off }   # E0651",
    ),
    "E0652": Code(
        "a coupon's terms don't fit",
        "`for` takes months, `at most … times` a whole number, `until` a date.",
        "coupon WELCOME { 25% off for 10 days }   # E0652: for 3 months",
    ),
    "E0653": Code(
        "a tax out of bounds",
        "A tax is a share of each line, from 0% to 100%.",
        "tax vat { 120% exclusive }   # E0653",
    ),
    "E0654": Code(
        "an unknown tax provider",
        "Taxes are computed by a rate of your own, or by `provider stripe`.",
        "tax vat { provider stirpe }   # E0654: stripe",
    ),
    "E0655": Code(
        "dunning without a retry",
        "Dunning tries a failed payment again before it ends a subscription.",
        "dunning standard {         # E0655\n  then suspend\n}",
    ),
    "E0656": Code(
        "a dunning step that is never reached",
        "After the end nothing follows, and there is one line of retries.",
        "dunning standard {\n  retry after 3 days\n  then cancel\n"
        "  cancel after 7 days more   # E0656\n}",
    ),
    "E0657": Code(
        "dunning delays that don't rise",
        "`retry after` counts each delay from the first failure, so each is longer than the one "
        "before it.",
        "dunning standard {\n  retry after 7 days, 3 days   # E0657\n  then suspend\n}",
    ),
    "E0658": Code(
        "an unknown end of dunning",
        "Dunning ends with `suspend`, `cancel` or `mark_uncollectible`.",
        "dunning standard {\n  retry after 3 days\n  then suspnd              # E0658\n}",
    ),
}

CODES: dict[str, Code] = FILES | BUSINESS | PLANS | METERS | EVENTS | IDENTITY
