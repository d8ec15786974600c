"""What authors bring along from price pages: how a plan says what it costs."""

from __future__ import annotations

from .habit_form import PLAN, brought

# Sizes with letters or a blank of another kind, by the unit that is meant.
_SIZES = tuple(
    brought(rf"(?<![\w.])(?P<x>(\d[\d_.]*)(?!\s{unit}\b)\s*(?i:{unit[0]}i?b|{name}bytes?))(?!\w)",
            f"A size is a number, a blank and its unit: `10 {unit}`.", fix=f"{{2}} {unit}",
            code="E0113")
    for unit, name in (("KB", "kilo"), ("MB", "mega"), ("GB", "giga"), ("TB", "tera"))
)  # fmt: skip
_PERIODS = {"daily": "day", "weekly": "week", "monthly": "month", "quarterly": "quarter",
            "yearly": "year", "annually": "year", "annual": "year"}  # fmt: skip
_METER = frozenset(("meter",))
PRICES = (
    brought(r"\{\s*(?:sum|max|min|last|average|unique)\s+(?P<x>\.)(?=\w+\s+of\b)",
            "The field of a meter stands without a dot.", fix="", where=_METER),
    brought(r"\{\s*(?:sum|max|min|last|average)\s+(?P<x>[^{}]*?[*/+(-][^{}]*?)\s+of\b",
            "A meter counts one field of its event.",
            "what is computed is counted by a handler, `record_usage {{ customer, meter, "
            "quantity: … }}`, on a meter that sums `quantity of Usage.recorded per customer`",
            where=_METER),
    brought(r"\bof\s+[\w.]+(?P<x>\s*(?:,|\band\b|&)\s*)(?=[A-Z])",
            "Several events are joined by `or`.", fix=" or ", where=_METER),
    *_SIZES,
    brought(r"(?:^|[{,])\s*(?P<x>(\d+\s+(?:day|week|month)s?)\s+(?:of\s+)?(?:free\s+)?trial)\b",
            "A line of a plan begins with its word.", fix="trial {2}", where=PLAN),
    brought(r"(?:^|[{,])\s*(?P<x>(\d[\d._]*\s+[A-Z]{3}\s+per\s+\w+)(?:\s+price)?)\s*(?=[,}]|$)",
            "A line of a plan begins with its word.", fix="price {2}", where=PLAN),
    brought(r"\b(?P<x>up_?to|upto|until|to|<=)(?=\s*\d[\d_]*\s*:)", "A tier is `up to N`.",
            fix="up to",
            where=PLAN),
    brought(r"\b(?P<x>(?:a|an|each|every)\s+(day|week|month|quarter|year|seat))\b",
            "A price is written `per {2}`, not `{x}`.", fix="per {2}", where=PLAN),
    *(
        brought(rf"\b{word}\b", f"A price is written `per {unit}`, not `{word}`.",
                fix=f"per {unit}", where=PLAN)
        for word, unit in _PERIODS.items()
    ),
    brought(r"\busage\s+(?P<x>(graduated|volume|stairstep)\s+([^\W\d]\w*))",
            "The meter stands first.",
            fix="{3} {2}", where=PLAN),
    brought(r"(?:^|[{,])\s*(?P<x>meter)\s+\w+\s*"
            r"(?=:|(?:graduated|volume|stairstep|package|per)\b)",
            "What a meter's units cost is their `usage`.", fix="usage", where=PLAN),
    brought(r"\busage\s+\w+\s+(?P<x>by|for\s+each|for|of)\s+(?=[^\W\d])",
            "A price for each value of a dimension stands behind `per`.", fix="per", where=PLAN),
    brought(r"\busage\s+\w+\s+(?P<x>(?:per|each|every|(?:per\s+)?package|(?:per\s+)?packages?\s+of)"
            r"\s+)(?=\d)",
            "Packages are named by their size.", fix="package of ", where=PLAN),
    brought(r"\bincludes\s+(?P<x>(\w+)\s*[:=]\s*(\d[\d_]*(?:\s+[KMGTP]?B)?))",
            "An allowance is a number, then its meter.", fix="{3} {2}", where=PLAN),
    brought(r"\b\w+s\s+(?P<x>(\d[\d_]*)\s+(?:to|until)\s+(\d[\d_]*))\b(?!\s*:)",
            "A range is written with `..`.", fix="{2}..{3}", where=PLAN),
    brought(r"(?<!in )\b(?P<x>arrears)\b", "What is billed after its period is `in arrears`.",
            fix="in arrears", where=PLAN),
    brought(r"\b[A-Z]{3}\s+(?P<x>every|each|for)\s+(?=\d)",
            "A price's interval stands behind `per`.",
            fix="per", where=PLAN),
    brought(r"\bfeatures\s+(?P<x>\"[^\"]*\"(?:\s*,\s*\"[^\"]*\")+)",
            "A list stands in square brackets.",
            fix="[{x}]", where=PLAN),
    brought(r"(?:^|[{,])\s*(?P<x>default|others?|otherwise|rest|any|_|\*)\s*(?=:)",
            "Every other value is `else`.", fix="else", where=PLAN),
    brought(r"(?:^|[{,])\s*(?P<x>(?!up\b|above\b|else\b|over\b)[a-z]\w*)\s*(?=:\s*(?:free\b|\d))",
            "A value of a dimension is a text.", fix='"{x}"', where=PLAN),
    *(
        brought(rf"\busage\s+\w+\s+(?P<x>(?!{model}\b){start}[a-z]*)\s*(?=\{{)",
                "Tiers are `graduated`, `volume` or `stairstep`.", fix=model, where=PLAN)
        for model, start in (("graduated", "gr[ae]"), ("volume", "vol"), ("stairstep", "st[ae]"))
    ),
    brought(r"\b(?:tiered|tiers|tier|bands)\b", "Tiers are `graduated`, `volume` or `stairstep`.",
            "`graduated` prices each unit by its own tier, `volume` all by the one that is reached",
            where=PLAN),
    brought(r"\b(?:first|from\s+0\s+to|0\s*(?:-|\.\.|to\b))\s*(\d[\d_]*)(?=\s*:)",
            "A tier is named by its end.", fix="up to {1}", where=PLAN),
    brought(r"(?:^|[{,])\s*(?P<x>else|rest|then|beyond|over|unlimited|more|infinity"
            r"|default)\s*(?=:)",
            "The last tier is `above`.", fix="above", where=PLAN),
    brought(r"(?:\b(?:over|then|beyond|rest|else)|\d[\d_]*\s*(?:-|\.\.|to)\s*\d[\d_]*|\d[\d_]*\+)"
            r"(?=\s*:)",
            "A tier is `up to N`, the last one `above`.", "write `up to 100: …`, then `above: …`",
            where=PLAN),
    brought(r"(?P<x>(?:\bup\s+to\s+\d[\d_]*|\babove))\s+(?=free|\d)",
            "A `:` is missing behind `{x}`.",
            fix="{x}: ", where=PLAN),
    brought(r"(?P<x>\b(?:over|beyond|more\s+than|above)\s+\d[\d_]*)\s*(?=:)",
            "The last tier is `above`, without a number.", fix="above", where=PLAN),
    brought(r"\blimits?\s+(?P<x>((\w+)\s*:\s*[^,{}]+?))\s*(?=[,}]|$)", "Limits stand in braces.",
            fix="{{ {x} }}", where=PLAN),
    brought(r"\busage\s+(?P<x>(\w+)\s*\{\s*(graduated|volume|stairstep)\s*\{?)",
            "How tiers count stands before the brace.", "write `usage {2} {3} {{ up to … }}`",
            where=PLAN),
    brought(r"\busage\s+(?P<x>(\w+)\s*\{)\s*(?!up\b|above\b|else\b)(?=[\d$a-z])",
            "A usage price stands behind a colon; in braces stand tiers, or values of a dimension.",
            "write `usage {2}: 0.02 USD`, `usage {2} graduated {{ up to 10: … }}`; what is free is "
            "`includes 100 {2}` beside it", where=PLAN),
    brought(r"\bbill\s+usage\s+(?P<x>every|each)\s+(?=\d)",
            "A threshold is reached again whenever so much is not billed yet.", fix="at",
            where=PLAN),
    brought(r"\bbill\s+usage\s+at\s+\d[\d._]*\s+[A-Z]{3}(?P<x>(?:\s*,\s*\d[\d._]*\s+[A-Z]{3})+)",
            "A plan has one threshold, which is reached again and again.",
            "steps are triggers whose handlers do `bill_usage {{ subscription }}`", where=PLAN),
    brought(r"\busage\b[^,}]*?\s(?P<x>in\s+advance|upfront|prepaid)\b",
            "What is used is due behind, with its period.",
            "leave it out; `bill usage at 0.01 USD` asks for usage as it comes", where=PLAN),
    brought(r"\busage\b[^,}]*?\s(?P<x>min(?:imum)?\s+(\d[\d._]*\s+[A-Z]{3})\s+"
            r"max(?:imum)?\s+(?=\d))", "A price is bounded by `at least` and `at most`.",
            fix="at least {2} at most ", where=PLAN),
    brought(r"\busage\b[^,}]*?\s(?P<x>min(?:imum)?)\s+(?=\d)", "A price is bounded by `at least`.",
            fix="at least", where=PLAN),
    brought(r"\busage\b[^,}]*?\s(?P<x>max(?:imum)?|capped\s+at|cap)\s+(?=\d)",
            "A price is bounded by `at most`.", fix="at most", where=PLAN),
    brought(r"\b(?:min|max)imum\s+\d[\d._]*\s+[A-Z]{3}\s+(?P<x>per\s+(?:\d+\s+)?\w+)",
            "A minimum or maximum is for each period of the plan.", "leave `{x}` out", where=PLAN),
    brought(r"\bprice\b[^,}]*?\s(?P<x>once|one[-_ ]time)\b", "A plan is paid period by period.",
            "a fee once is a `price` without an interval, of an addon", where=PLAN),
    brought(r"\bprice\b[^,}]*?\s(?P<x>billed)\s", "A price is due each of its own periods.",
            "a year that is paid by the month is a price per month", where=PLAN),
    brought(r"\btrial\s+\d+\s+\w+\s+(?P<x>at|for)\s+\d", "A trial is free.",
            "a cheap start is a `phase \"trial\" for 1 month {{ price 1 USD per month }}`",
            where=PLAN),
    brought(r"\busage\s+(?P<x>(\w+))\s+(?=[\d$])", "A `:` is missing behind `{x}`.", fix="{x}:",
            where=PLAN),
)  # fmt: skip
