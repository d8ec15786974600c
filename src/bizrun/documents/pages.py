"""What stands on a document's pages, as texts in the customer's language, whatever sets them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import groupby
from typing import Any
from urllib.parse import quote

from ..values import Money, number
from .document import (
    Document,
    Party,
    Settled,
    business_party,
    customer_party,
    is_reverse_charge,
    paper_size,
)
from .labels import Labels, labels

MAX_TEXT = 4_000
_DIGIT = 185  # hundredths of a mm, at 10 pt
_SMALL_DIGIT = 157
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufdd0-\ufdef\ufffe\uffff]|[\ud800-\udfff]"
)
_LONG = re.compile(r"\S{30,}")
_UNIT = re.compile(r"(.+) per ([\w-]+)\Z")


def page(document: Document) -> dict[str, Any]:
    """All that stands on the pages of a document, as texts in the customer's language."""
    row, business = document.row, document.business
    own = document.customer.get("locale") or document.customer.get("language")
    said = replace(labels(own or business.get("locale")), titles=business.get("titles") or {})
    seller = business_party(business)
    buyer = customer_party(document.customer, str(row["customer"]))
    due = document.kind == "invoice" and _open(row)
    bank = str(business.get("bank") or "").splitlines() if due else []
    lines = [_line(line, document, said) for line in document.lines]
    columns = _columns(lines)
    found = {
        "language": said.language,
        "paper": paper_size(business),
        "title": said[document.kind],
        "number": clean(document.number),
        "xml": "",
        "logo": business.get("logo") or "",
        "seller": {"name": clean(seller.name), "lines": _seller(seller, business, said)},
        "buyer": {"name": clean(buyer.name), "lines": _buyer(buyer, said)},
        "facts": _facts(document, said),
        "status": _standing(document),
        "stamp": _stamp(document, said) if document.kind == "invoice" else "",
        "headline": clean(_headline(document, said)),
        "words": {word: said[word] for word in _WORDS},
        "columns": columns,
        "widths": _widths(columns, lines, said),
        "lines": lines,
        "sums": _sums(document, said),
        "notes": [clean(note) for note in _notes(document, seller, buyer, said)],
        "bank": [clean(text) for text in bank],
        "pay_url": _pay_url(document) if due else "",
        "footer": clean(str(business.get("footer") or f"{seller.name} · {document.number}")),
    }
    return {**found, "short": _short(found)}


def _short(found: Mapping[str, Any]) -> bool:
    """Whether all surely stands on one page, and each row in one line: estimated with room."""
    lines = found["lines"]
    rows = [line["description"] for line in lines if line["period"]]
    rows += [text for line in lines for text in (line["description"], *_bounds(line))]
    parties = [found["seller"], found["buyer"]]
    beside = 3 + max(sum(1 + len(text) // 28 for text in x["lines"]) for x in parties)
    below = len(found["bank"]) + len(found["notes"]) + (5 if found["pay_url"] else 0)
    sums = sum(len(group) + 1 for _, group in found["sums"])
    title = 0 if len(found["seller"]["name"]) <= 30 else 5 * (len(found["seller"]["name"]) // 40)
    height = 60 + title + 5 * (beside + len(rows) + len(lines) + sums + below)
    flat = all(len(text) <= 50 and "\n" not in text for text in rows)
    return flat and height <= 215 and sum(found["widths"]) <= 10_000


def _bounds(line: Mapping[str, Any]) -> list[str]:
    return [step["bounds"] for step in line["steps"]]


def clean(text: str) -> str:
    """A text that can be set: no control characters, a bounded length, words that may break."""
    if len(text) < 30 and text.isprintable():
        return text
    text = _CONTROL.sub("", text)[:MAX_TEXT]
    return _LONG.sub(_breakable, text)


def _breakable(found: re.Match[str]) -> str:
    word = found[0]
    return "\u200b".join(word[at : at + 10] for at in range(0, len(word), 10))


def _open(row: Mapping[str, Any]) -> bool:
    return row["status"] in ("final", "sent", "uncollectible") and bool(row["amount_open"])


def _seller(seller: Party, business: Mapping[str, Any], said: Labels) -> list[str]:
    found = [*seller.lines, seller.email, str(business.get("website") or "")]
    if seller.tax_id:
        found.append(f"{said['tax_id']} {seller.tax_id}")
    return [clean(line) for line in found if line]


def _buyer(buyer: Party, said: Labels) -> list[str]:
    lines = [*buyer.lines]
    if lines and lines[-1] == buyer.country and len(buyer.country) == 2:
        lines[-1] = said.locale.territories.get(buyer.country.upper(), buyer.country)
    if buyer.email != buyer.name:
        lines.append(buyer.email)
    if buyer.tax_id:
        lines.append(f"{said['tax_id']} {buyer.tax_id}")
    return [clean(line) for line in lines if line]


def _facts(document: Document, said: Labels) -> list[list[str]]:
    row, tz, kind = document.row, document.tz, document.kind
    number, issued = document.number, said.day(document.issued, tz)
    facts: list[tuple[str, str]] = []
    match kind:
        case "credit_note":
            invoice = str(row["number"] or row["id"])
            facts = [("note_number", number), ("date", issued), ("for_invoice", invoice)]
        case "receipt":
            reference = str(document.about["reference"] or "")
            facts = [("number", str(row["number"] or "")), ("paid_date", issued)]
            facts += [("payment", reference), ("period", _period(row, document, said))]
        case "invoice":
            facts = [("number", number), ("date", said.day(row["issued_at"], tz))]
            if (standing := _standing(document)) == "paid":
                facts.append(("paid_date", said.day(row["paid_at"], tz)))
            elif standing not in ("void", "credited"):
                facts.append(("due", said.day(row["due_at"], tz)))
            facts.append(("period", _period(row, document, said)))
    return [[said[word], clean(text)] for word, text in facts if text]


def _period(row: Mapping[str, Any], document: Document, said: Labels) -> str:
    """The first and the last day of a half-open period."""
    start, end = row["period_start"], row["period_end"]
    if start is None or end is None:
        return ""
    return said.days(start, max(start, end - timedelta(microseconds=1)), document.tz)


def _standing(document: Document) -> str:
    """The status of an invoice; `credited` where credit notes have settled it and nobody paid."""
    status = str(document.row["status"])
    by = {part.by for part in _settled(document)}
    return "credited" if status == "paid" and "credit_note" in by and "paid" not in by else status


def _stamp(document: Document, said: Labels) -> str:
    stamps = {"paid": "stamp_paid", "void": "stamp_void", "draft": "stamp_draft"}
    word = stamps.get(_standing(document))
    return said[word].upper() if word else ""


def _headline(document: Document, said: Labels) -> str:
    """What the customer wants to know first: how much, and by when."""
    row, tz = document.row, document.tz
    if document.kind == "credit_note":
        return said["note_headline"].format(amount=said.money(row["total"]))
    if document.kind == "receipt":
        amount = said.money(document.about["amount"])
        return said["paid_on"].format(amount=amount, day=said.day(document.issued, tz))
    sums = {by: _settled_by(document, by) for by in ("paid", "credit_note")}
    match _standing(document):
        case "void":
            return said["voided"]
        case "draft":
            return said["draft"]
        case "credited":
            return said["note_headline"].format(amount=said.money(sums["credit_note"]))
        case "paid" if sums["paid"]:
            amount = said.money(sums["paid"])
            return said["paid_on"].format(amount=amount, day=said.day(row["paid_at"], tz))
        case "paid" if row["amount_due"]:
            return said["by_credit"]
    if not row["amount_open"] and _carried(row).amount > 0:
        return said["carried_over"]
    if not row["amount_open"]:
        return said["by_credit" if row["credit"].amount > 0 else "nothing_due"]
    day = said.day(row["due_at"] or row["issued_at"], tz)
    return said["due_on"].format(amount=said.money(row["amount_open"]), day=day)


def _notes(document: Document, seller: Party, buyer: Party, said: Labels) -> list[str]:
    row = document.row
    if document.kind == "credit_note":
        return [reason] if (reason := str(document.about["reason"] or "")) else []
    if document.kind == "receipt":
        return [said["thanks"]]
    found = []
    if row["total"].amount < 0 and row["credit"].amount < 0:
        found.append(said["credited"].format(amount=said.money(-row["credit"])))
    if row["status"] == "uncollectible":
        found.append(said["uncollectible"])
    elif _open(row) and document.business.get("bank"):
        found.append(f"{said['reference'].format(number=document.number)}.")
    elif row["status"] not in ("void", "draft"):
        found.append(said["thanks"])
    if not row["tax"] and is_reverse_charge(seller, buyer):
        found.insert(0, said["reverse_charge"])
    if _inclusive(document):
        found.insert(0, said["prices_with_tax"])
    return found


def _inclusive(document: Document) -> bool:
    """Whether prices have their tax in them."""
    return any(tax.get("inclusive") for tax in document.row["taxes"] or ())


def _pay_url(document: Document) -> str:
    """Where an invoice is paid: `{number}`, `{id}`, `{amount}`, `{currency}` filled in."""
    url = str(document.business.get("pay_url") or "")
    if not url.startswith(("https://", "http://")):
        return ""
    row = document.row
    amount = str(row["amount_open"]).split(" ")[0]
    known = {
        "number": document.number, "id": str(row["id"]), "amount": amount,
        "currency": row["currency"],
    }  # fmt: skip
    return re.sub(r"\{(\w+)\}", lambda m: quote(known.get(m[1], ""), safe=""), url)


# --- lines and sums ----------------------------------------------------------------------------


def _line(line: Mapping[str, Any], document: Document, said: Labels) -> dict[str, Any]:
    unit = line["unit_amount"]
    price = said.money(unit) if unit is not None else ""
    steps: Sequence[Mapping[str, Any]] = line["detail"] or ()
    if len(steps) == 1 and not any(steps[0].get(name) for name in _BOUNDED):
        price, steps = _rate(steps[0], said), ()
    free = [step for step in steps if step.get("bound") in _FREE]
    if price and len(steps) == len(free) + 1 and not any(steps[-1].get(n) for n in _BOUNDED):
        steps = free  # Its quantity and price say the rest.
    # A step costs what prices say, with the tax that they include: another sum than the line's.
    told = {"amount": ""} if _inclusive(document) else {}
    period = _period(line, document, said)
    return {
        "description": clean(_description(line, said)),
        # Where all lines are about the invoice's own period it is not said again on each.
        "period": "" if period == _period(document.row, document, said) else period,
        "quantity": _quantity(line, document, said),
        "price": price,
        "amount": said.money(line["amount"]),
        "steps": [_step(step, said) | told for step in steps],
    }


def _quantity(line: Mapping[str, Any], document: Document, said: Labels) -> str:
    """A quantity with the unit of its meter, if that has one: `12.5 GB`.

    None for a part of a period, that is once whatever it was for, beside one of seven seats.
    """
    if line["kind"] == "proration" and line["quantity"] == 1 and line["unit_amount"] is None:
        return ""
    count, unit = said.quantity(line["quantity"]), document.units.get(line["meter"] or "")
    return f"{count}\u00a0{unit}" if unit else count


def _columns(lines: list[dict[str, Any]]) -> list[str]:
    """The columns of figures: without prices where no line has one, and without 1 times each."""
    steps = [step for line in lines for step in line["steps"]]
    prices = any(line["price"] for line in [*lines, *steps])
    counts = prices or any(line["quantity"] not in ("", "1") for line in lines)
    return [
        *(["quantity"] if counts else ()),
        *(["price"] if prices else ()),
        "amount",
    ]


def _widths(columns: list[str], lines: list[dict[str, Any]], said: Labels) -> list[int]:
    """The widths, in hundredths of a mm, of the columns of figures: enough for the longest."""
    found = []
    for name in columns:
        plain = max((len(line[name]) for line in lines), default=0)
        small = max((len(step[name]) for line in lines for step in line["steps"]), default=0)
        widest = max(plain * _DIGIT, max(small, len(said[name])) * _SMALL_DIGIT)
        found.append(min(widest, 6_000) + 600)
    return found


def _description(line: Mapping[str, Any], said: Labels) -> str:
    """A line's own text; what billing itself says is said in the customer's language."""
    text, kind, meter = str(line["description"]), line["kind"], line["meter"]
    if meter and text.startswith(meter):
        name = said.title(meter, text)
        return said["correction"].format(name=name) if kind == "correction" else name
    if kind in ("minimum", "maximum"):
        return said[kind]
    if kind == "wallet" and text.startswith(_SOLD):
        return said["wallet"].format(amount=said.money(_money(text.removeprefix(_SOLD))))
    for word, start in (("unused", "Unused time on "), ("remaining", "Remaining time on ")):
        if kind == "proration" and text.startswith(start):
            return said[word].format(name=text.removeprefix(start))
    found = _UNIT.match(text) if kind == "base" else None
    return (
        said["per"].format(name=found[1], unit=said.words.get(found[2], found[2]))
        if found
        else text
    )


def _step(step: Mapping[str, Any], said: Labels) -> dict[str, str]:
    """A tier: its bounds, how much of the quantity fell into it, at which rate."""
    if step.get("bound"):
        amount, free = said.money(_money(step["amount"])), step.get("quantity")
        quantity, price = "", ""
        if free is not None:
            quantity = said.quantity(number(str(free)))
            price = "" if step["bound"] == "billed" else said["free"]
        return {
            "bounds": said[step["bound"]], "quantity": quantity, "price": price, "amount": amount,
        }  # fmt: skip
    above, up_to = number(str(step.get("above", 0))), step.get("up_to")
    open_ = up_to is None or str(up_to) == "unlimited"
    bound = (
        ("" if not above else said["above"].format(bound=said.number(above)))
        if open_
        else said["to"].format(start=said.number(above + 1), end=said.number(number(str(up_to))))
    )
    return {
        "bounds": bound,
        "quantity": said.quantity(number(str(step.get("quantity", 0)))),
        "price": _rate(step, said),
        "amount": said.money(_money(step["amount"])),
    }


def _rate(step: Mapping[str, Any], said: Labels) -> str:
    parts = []
    if step.get("percent") is not None:
        parts.append(said.percent(str(step["percent"])))
    if step.get("unit_amount") is not None:
        unit = _money(step["unit_amount"])
        if unit or not step.get("flat"):
            parts.append(said.money(unit) if unit else said["free"])
    if step.get("packages") is not None and parts:
        parts[-1] = f"{said.number(int(step['packages']))} × {parts[-1]}"
    if step.get("each") is not None:
        parts.append(f"{said.number(int(step['events']))} × {said.money(_money(step['each']))}")
    if step.get("flat") is not None:
        parts.append(said.money(_money(step["flat"])))
    return " + ".join(parts) if parts else said["free"]


def _money(value: Any) -> Money:
    if isinstance(value, Money):
        return value
    amount, currency = str(value).split(" ")
    return Money(amount, currency)


def _sums(document: Document, said: Labels) -> list[list[Any]]:
    """From the subtotal to what is due: groups of label and amount, a line above each but ''."""
    row = document.row
    found: list[tuple[str, Money, str]] = []
    if row["subtotal"] != row["total"]:
        found.append((said["subtotal"], row["subtotal"], ""))
    found += _discounts(row, said)
    found += _taxes(row, said)
    match document.kind:
        case "credit_note":
            found.append((said["note_total"], row["total"], "due"))
        case "receipt":
            found += _paid_sums(document, said)
        case "invoice":
            found += _open_sums(document, said, bool(found))
    return [
        [kind, [[clean(label), said.money(amount)] for label, amount, _ in group]]
        for kind, group in groupby(found, key=lambda sum_: sum_[2])
    ]


def _open_sums(document: Document, said: Labels, more: bool) -> list[tuple[str, Money, str]]:
    """From an invoice's total to what is open of it; the total alone where they are the same."""
    row = document.row
    found = [(said["total"], row["total"], "total")]
    found += _credits(row, said)
    found += [
        (f"{said[by]} {number}".rstrip(), -amount, "") for by, amount, number in _settled(document)
    ]
    due = (said["amount_due"], row["amount_open"], "due")
    alone = not more and len(found) == 1 and row["amount_open"] == row["total"]
    return [due] if alone else [*found, due]


def _settled(document: Document) -> Sequence[Settled]:
    row = document.row
    paid: Money = row["amount_due"] - row["amount_open"]
    if not paid or row["status"] == "void":
        return ()
    return document.settled or (Settled("paid", paid),)


def _settled_by(document: Document, by: str) -> Money:
    parts = (part.amount for part in _settled(document) if part.by == by)
    return sum(parts, Money(0, document.row["currency"]))


def _credits(row: Mapping[str, Any], said: Labels) -> list[tuple[str, Money, str]]:
    """Account credit, and what is carried over to a later invoice or from earlier ones."""
    carried = _carried(row)
    found = [(said["credit"], carried - row["credit"], ""), (said["carried"], -carried, "")]
    return [(label, amount, kind) for label, amount, kind in found if amount]


def _carried(row: Mapping[str, Any]) -> Money:
    uses = (use["amount"] for use in row.get("credits") or () if use.get("carried"))
    return sum(uses, Money(0, row["currency"]))


def _paid_sums(document: Document, said: Labels) -> list[tuple[str, Money, str]]:
    """From the total of what was paid for to the payment; what was refunded of it since."""
    row, payment = document.row, document.about
    found = [(said["total"], row["total"], "total")]
    found += _credits(row, said)
    found.append((said["paid"], payment["amount"], "due"))
    return found


def _discounts(row: Mapping[str, Any], said: Labels) -> list[tuple[str, Money, str]]:
    """Each coupon with what it took off; one line where they don't say all of it."""
    if not row["discount"]:
        return []
    zero = Money(0, row["currency"])
    shares: dict[str, Money] = {}
    for use in row.get("discounts") or ():
        name = said.called("coupon", str(use["coupon"]))
        shares[name] = shares.get(name, zero) + _money(use["amount"])
    if len(shares) == 1:  # of prices with tax in them, it is what it takes off without it
        shares = dict.fromkeys(shares, row["discount"])
    if sum(shares.values(), zero) != row["discount"]:
        return [(said["discount"], -row["discount"], "")]
    return [(f"{said['discount']} {name}", -amount, "") for name, amount in shares.items()]


def _taxes(row: Mapping[str, Any], said: Labels) -> list[tuple[str, Money, str]]:
    """Each tax with its rate; one line where the taxes don't say all of what is due."""
    if not row["tax"] and not row["taxes"]:
        return []
    shares = [(tax, _money(tax["amount"])) for tax in row["taxes"] or ()]
    total = sum((amount for _, amount in shares), Money(0, row["currency"]))
    if not shares or total != row["tax"]:
        return [(said["tax"], row["tax"], "")]
    return [
        (_tax_at(str(tax["name"]), said.percent(str(tax["rate"])), said), amount, "")
        for tax, amount in shares
    ]


def _tax_at(name: str, rate: str, said: Labels) -> str:
    """A tax as its author calls it, with its rate where that does not say it."""
    called = said.called("tax", name)
    return called if "%" in called else f"{_tax_name(called, said)} {rate}"


def _tax_name(name: str, said: Labels) -> str:
    words = name.replace("_", " ").split()
    shown = [_TAXES.get(word, word.upper() if len(word) == 2 else word) for word in words]
    text = " ".join(said["vat"] if word == "VAT" else word for word in shown)
    return text if words[0] in _TAXES else text[:1].upper() + text[1:]


_SOLD = "Credit of "
_FREE = ("included", "carried")
_BOUNDED = ("bound", "above", "up_to")
_TAXES = {
    "ust": "USt", "mwst": "MwSt", "btw": "btw",
    **{name: name.upper() for name in ("vat", "gst", "hst", "pst", "qst", "iva", "tva")},
}  # fmt: skip

_WORDS = ("from", "bill_to", "description", "quantity", "price", "amount", "pay", "page")
