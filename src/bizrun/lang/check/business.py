"""The business block and the entities' keys and indexes."""

from __future__ import annotations

import re
from collections.abc import Callable

from ...currencies import EXPONENTS
from ...diagnostics import Fix, Label, did_you_mean
from ...errors import EvalError
from ...times import zone
from ...values import is_format
from .. import ast
from ..types import ANY, TEXT, Choice, EntityType, Prim, type_text
from .facts import Facts, listed, positive

LANGUAGE = 1


def check_business(facts: Facts) -> None:
    """Each setting is known, stands once, and has a value that it can have."""
    for business in facts.all(ast.Business):
        _check_settings(business, facts)
    for entity in facts.all(ast.Entity):
        _check_entity(entity, facts)


def _check_settings(business: ast.Business, facts: Facts) -> None:
    seen: dict[str, ast.Setting] = {}
    for setting in business.settings:
        check = SETTINGS.get(setting.key)
        if check is None:
            _report_unknown(setting, facts)
            continue
        if setting.key in seen:
            labels = (Label(seen[setting.key].span, "first here"),)
            text = f"`{setting.key}` is set twice"
            facts.report.add("E0513", setting.span, text, labels=labels)
            continue
        seen[setting.key] = setting
        problem = check(setting, facts)
        if problem:
            facts.report.add("E0512", setting.span, f"`{setting.key}` {problem}")


def _report_unknown(setting: ast.Setting, facts: Facts) -> None:
    near = did_you_mean(setting.key, SETTINGS)
    fix = None
    if near:
        start = setting.span.start
        span = type(setting.span)(setting.span.file, start, start + len(setting.key))
        fix = Fix(span, near)
    facts.report.add(
        "E0511",
        setting.span,
        f"A business has no setting `{setting.key}`",
        help=f"did you mean `{near}`?" if near else f"settings: {listed(SETTINGS)}",
        fix=fix,
    )


# --- settings: each says what is wrong, or nothing ---------------------------------------------


def _words(*choices: str) -> Callable[[ast.Setting, Facts], str | None]:
    def check(setting: ast.Setting, facts: Facts) -> str | None:
        given = " ".join(word.strip(",") for word in setting.words)
        if given not in choices:
            near = did_you_mean(given, choices)
            facts.report.add(
                "E0512",
                setting.span,
                f"`{setting.key}` is one of {listed(choices)}, not `{given}`",
                help=f"did you mean `{near}`?" if near else None,
                fix=Fix(setting.span, f"{setting.key} {near}") if near else None,
            )
        return None

    return check


def _language(setting: ast.Setting, facts: Facts) -> str | None:
    if isinstance(setting.value, ast.Text) and setting.value.plain:
        return (
            "is a whole number, the edition that the file was written for: the language of "
            f'customers is `locale "{setting.value.plain}"`'
        )
    value = facts.fold(setting.value)
    if value is None or value.type != "number" or not isinstance(value.value, int):
        return "is a whole number, the edition that the file was written for"
    if value.value > LANGUAGE:
        text = f"This file needs language {value.value}; this bizrun reads language {LANGUAGE}"
        help_ = f"update bizrun, or write `language {LANGUAGE}`"
        facts.report.add("E0516", setting.span, text, help=help_)
        return None
    return None if value.value == LANGUAGE else f"is {LANGUAGE}"


def _currency(setting: ast.Setting, facts: Facts) -> str | None:
    code = setting.words[0] if len(setting.words) == 1 else ""
    plain = code.strip('"')
    if plain in EXPONENTS and plain == code:
        return None
    near = plain.upper() if plain.upper() in EXPONENTS else did_you_mean(plain, EXPONENTS)
    facts.report.add(
        "E0514",
        setting.span,
        f"`{' '.join(setting.words)}` is no currency",
        help=f"did you mean `{near}`?" if near else "write a code of ISO 4217, like USD",
        fix=Fix(setting.span, f"currency {near}", plain.upper() == near) if near else None,
    )
    return None


def _timezone(setting: ast.Setting, facts: Facts) -> str | None:
    name = setting.value.plain if isinstance(setting.value, ast.Text) else None
    if name is None:
        return 'is a text like `"Europe/Berlin"`'
    problem = unknown_zone(name)
    if problem:
        facts.report.add("E0515", setting.span, f"`{name}` is no time zone", help=problem)
    return None


_ABBREVIATIONS = {
    "PST": "America/Los_Angeles", "PDT": "America/Los_Angeles", "PT": "America/Los_Angeles",
    "MDT": "America/Denver", "MT": "America/Denver", "CST": "America/Chicago",
    "CDT": "America/Chicago", "CT": "America/Chicago", "EDT": "America/New_York",
    "ET": "America/New_York", "BST": "Europe/London", "CEST": "Europe/Berlin",
    "IST": "Asia/Kolkata", "JST": "Asia/Tokyo", "AEST": "Australia/Sydney",
}  # fmt: skip


def unknown_zone(name: str) -> str | None:
    """The help where a name is no IANA time zone, None where it is one."""
    try:
        zone(name)
    except EvalError:
        from zoneinfo import available_timezones

        place = _ABBREVIATIONS.get(name.upper())
        if place is not None:
            return f"a zone is named by a place, for its summer time: `{place}`"
        near = did_you_mean(name, available_timezones())
        return f"did you mean `{near}`?" if near else 'write a name like "Europe/Berlin"'
    return None


def _any(setting: ast.Setting, facts: Facts) -> str | None:
    return None  # `bills` and `tenant` are names: the other half of the checker knows them


def _duration(setting: ast.Setting, facts: Facts) -> str | None:
    value = facts.fold(setting.value)
    if value and value.type == "duration" and (positive(value) or not value.value):
        return None
    if value and value.type == "number" and value.value == 0:
        return None
    return "is a duration like `3 days`"


def _bound(setting: ast.Setting, facts: Facts) -> str | None:
    value = facts.fold(setting.value)
    if value and value.type == "number" and isinstance(value.value, int) and value.value > 0:
        return None
    return "is a whole number above zero"


def _text(setting: ast.Setting, facts: Facts) -> str | None:
    return None if isinstance(setting.value, ast.Text) else "is a text"


def _plain(setting: ast.Setting) -> str | None:
    """The text of a setting that is one without `{…}`."""
    return setting.value.plain if isinstance(setting.value, ast.Text) else None


def _like(pattern: str, problem: str) -> Callable[[ast.Setting, Facts], str | None]:
    def check(setting: ast.Setting, facts: Facts) -> str | None:
        text = _plain(setting)
        return None if text is not None and re.fullmatch(pattern, text, re.ASCII) else problem

    return check


def _beside(kind: str, ends: str = "") -> Callable[[ast.Setting, Facts], str | None]:
    """A path that stays in the spec's folder, and may have to end in one of some ways."""

    def check(setting: ast.Setting, facts: Facts) -> str | None:
        path = _plain(setting)
        if not path or path.startswith(("/", "\\")) or ".." in path.split("/") or ":" in path:
            return f"is the path of {kind} in the folder of the spec"
        if ends and not path.lower().endswith(tuple(ends.split())):
            return f"is the path of {kind} (it ends with {' or '.join(ends.split())})"
        return None

    return check


def _pay_url(setting: ast.Setting, facts: Facts) -> str | None:
    if not isinstance(setting.value, ast.Text):
        return 'is a text like `"https://pay.example/{number}"`'
    parts = setting.value.parts
    if not parts or not str(parts[0]).startswith(("https://", "http://")):
        return "is an address that begins with `https://`"
    return next((_unknown_place(name, _PAY_NAMES) for name in _places(setting.value)
                 if name not in _PAY_NAMES), None)  # fmt: skip


def _places(text: ast.Text) -> list[str]:
    """The names that stand in the braces of a text."""
    found = (part.value for part in text.parts if isinstance(part, ast.Interpolation))
    return [value.name if isinstance(value, ast.Name) else "…" for value in found]


_NUMBER_NAMES = ("year", "month", "day", "seq")
_PAY_NAMES = ("number", "id", "amount", "currency")


def _einvoice(setting: ast.Setting, facts: Facts) -> str | None:
    known = isinstance(setting.value, ast.Text) and setting.value.plain == "en16931"
    return None if known else 'is `"en16931"`, the norm of the European Union'


def _number(setting: ast.Setting, facts: Facts) -> str | None:
    if not isinstance(setting.value, ast.Text):
        return 'is a text like `"ACME-{year}-{seq:05}"`'
    names = _places(setting.value)
    unknown = next((name for name in names if name not in _NUMBER_NAMES), None)
    if unknown is not None:
        return _unknown_place(unknown, _NUMBER_NAMES)
    if "seq" not in names:
        return "has to hold `{seq}`, else two invoices get one number"
    if names.count("seq") > 1:
        return "has `{seq}` twice"
    return next(
        (f"has the format `{part.format}`, which is none; `05` is five digits"
         for part in setting.value.parts
         if isinstance(part, ast.Interpolation) and not is_format(part.format or "")),
        None,
    )  # fmt: skip


def _unknown_place(name: str, names: tuple[str, ...]) -> str:
    """What to say of braces in a setting that hold none of the values it can have."""
    near = did_you_mean(name, names)
    meant = f" (did you mean `{{{near}}}`?)" if near else ""
    known = ", ".join(f"`{{{each}}}`" for each in names)
    return f"has `{{{name}}}`{meant}, and knows {known}"


def _due(setting: ast.Setting, facts: Facts) -> str | None:
    words = [word.strip(",") for word in setting.words]
    return None if words[:1] == ["after"] and len(words) == 3 else "is `due after 30 days`"


def _collect(setting: ast.Setting, facts: Facts) -> str | None:
    words = [word.strip(",") for word in setting.words]
    if words == ["automatic"] or words[:1] == ["by_invoice"]:
        return None
    return f"is `automatic` or `by_invoice`, not `{' '.join(words)}`"


def _amounts(setting: ast.Setting, facts: Facts) -> str | None:
    value = setting.value
    items = value.items if isinstance(value, ast.ListLiteral) else (value,)
    seen: set[str] = set()
    for item in items:
        amount = facts.fold(item)
        if amount is None or amount.type != "money" or not positive(amount):
            return "is an amount like `0.50 USD`, or one for each currency: `[0.50 USD, 50 JPY]`"
        if amount.value.currency in seen:
            return f"has two amounts in {amount.value.currency}"
        seen.add(amount.value.currency)
    return None


def _named(kind: str) -> Callable[[ast.Setting, Facts], str | None]:
    def check(setting: ast.Setting, facts: Facts) -> str | None:
        known = facts.symbols.dunnings if kind == "dunning" else facts.symbols.taxes
        name = " ".join(setting.words)
        if name in known:
            return None
        near = did_you_mean(name, known)
        meant = f" (did you mean `{near}`?)" if near else ""
        return f"names a {kind}, and there is none called `{name}`{meant}"

    return check


SETTINGS: dict[str, Callable[[ast.Setting, Facts], str | None]] = {
    "language": _language,
    "currency": _currency,
    "timezone": _timezone,
    "bills": _any,
    "tenant": _any,
    "rounding": _words("half_up", "half_even"),
    "proration": _words("by day", "by second", "none"),
    "billing": _words("anniversary", "calendar"),
    "credit": _words("after_tax", "before_tax"),
    "collect": _collect,
    "due": _due,
    "trial_notice": _duration,
    "grace": _duration,
    "invoice_number": _number,
    "credit_note_number": _number,
    "smallest_charge": _amounts,
    "lost_disputes": _words("dun", "reopen", "write_off"),
    "effects_per_event": _bound,
    "chain_of_events": _bound,
    "items_per_day": _bound,
    "dunning": _named("dunning"),
    "tax": _named("tax"),
    "email": _like(
        r"[^\s@]+@[^\s@]+|[^<>\n]+<[^\s@<>]+@[^\s@<>]+>", "is an address like `a@b.example`"
    ),
    "address": _text,
    "website": _text,
    "tax_id": _text,
    "logo": _beside("a picture", ".svg .png .jpg .jpeg"),
    "fonts": _beside("a folder"),
    "pay_url": _pay_url,
    "einvoice": _einvoice,
    "bank": _text,
    "footer": _text,
    "country": _like(r"[A-Z]{2}", 'is a code of two letters like `"DE"` (ISO 3166)'),
    "locale": _like(r"[a-z]{2,3}([-_][A-Za-z0-9]{2,8})*", 'is a language like `"de"` or `"pt-BR"`'),
}


def is_text(key: str) -> bool:
    """Whether a setting takes a text: in the YAML form it needs no quotes of its own then."""
    return SETTINGS.get(key) in (_text, _timezone, _number, _einvoice)


# --- entities --------------------------------------------------------------------------------


def _check_entity(entity: ast.Entity, facts: Facts) -> None:
    if entity.name not in facts.symbols.entities:
        return
    for key in entity.fields:
        if key.key:
            _check_key(entity, key, facts)
    for index in entity.indexes:
        names = [name for name, _ in index.fields]
        if len(set(names)) < len(names):
            facts.report.add("E0520", index.span, "A field stands twice in this index")


def _check_key(entity: ast.Entity, key: ast.FieldDecl, facts: Facts) -> None:
    info = facts.symbols.entities[entity.name].fields.get(key.name)
    if info is None or info.type == ANY:
        return
    if not isinstance(info.type, Choice | EntityType) and info.type not in _KEYS:
        facts.report.add(
            "E0521",
            key.type.span,
            f"A key can't be {type_text(info.type)}: each row is found by one text",
            help=f'write `{key.name} text key`, and a number or a day in it as `"{{n}}"`',
            fix=Fix(key.type.span, "text", certain=False),
        )


# Keys that are texts: an entity is its key, a plan and a coupon are their names.
_KEYS = (TEXT, Prim("plan"), Prim("coupon"))
