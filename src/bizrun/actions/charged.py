"""What invoices still charge, and which earlier ones the lines of an invoice give back something
of: a line below zero keeps it (`credited`), and each of them how much of it was given back so
(`returned`), all with tax.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

from msgspec.structs import replace

from ..billing import proration
from ..billing.invoicing import BOUND_KINDS, GivenBack, InvoiceTotals, Line
from ..billing.split import spread
from ..values import Money, zero
from . import taxed
from .customers import settings
from .desk import Desk

_USED = ("usage", "correction")
# What gives back of any earlier invoice of the period, not of charges that it knows.
_BOUNDED = BOUND_KINDS | {"proration"}
_OF_ANY = (*_USED, "maximum")


def still_charged(desk: Desk, invoice: str) -> Money:
    """What an invoice has charged, with tax, less all that was given back of it since: by credit
    notes, by changes and cancellations, and by refunds of their own."""
    row = desk.row("Invoice", invoice)
    left: Money = row["total"] - (row["returned"] or row["total"] * 0)
    for note in desk.select("CreditNote", invoice=invoice):
        left = left - note["total"]
    for payment in desk.select("Payment", invoice=invoice):
        for made in desk.select("Refund", payment=payment["id"]):
            if made["reason"] is None and made["status"] != "failed":
                left = left - made["amount"]
    return left


def left_of_charges(desk: Desk, key: str) -> Money:
    """What an invoice asked for that was not given back since, with tax: its lines below zero that
    gave back something of earlier invoices take nothing off it."""
    return still_charged(desk, key) + of_earlier(desk, key)


def of_line(line: Line) -> list[dict[str, Any]] | None:
    """What a line gives back, by invoices, as it is kept."""
    how = {} if line.taxed is None else {"taxes": taxed.as_rows(line.taxed)}
    found = []
    for each in line.of:
        charge = {} if each.line is None else {"line": each.line, "item": each.item, **how}
        found.append({"invoice": each.invoice, "amount": each.amount, **charge})
    return found or None


def note(desk: Desk, invoice: str, back: Money) -> None:
    """Notes on an invoice what is given back of it, with tax."""
    returned = desk.row("Invoice", invoice)["returned"] or back * 0
    desk.change("Invoice", invoice, returned=returned + back)


def noted(desk: Desk, invoice: Mapping[str, Any], totals: InvoiceTotals) -> InvoiceTotals:
    """The lines of an invoice, each with what it gives back of earlier ones: that of usage which
    turned out less, and that of a maximum which is lower than what the period was charged before.
    What prorations give back was noted when they were made."""
    made = totals.lines
    if not any(line.amount.amount < 0 and line.kind in _OF_ANY for line in made):
        return totals
    found: list[Line] = []
    own: dict[Any, Money] = {}
    again = {id(line): line.total for line in made
             if line.kind == "maximum" and line.total.amount > 0}  # fmt: skip
    for line in made:
        if line.total.amount >= 0 or line.kind not in _OF_ANY:
            found.append(line)
            continue
        back = -line.total
        if line.kind == "maximum":
            # It is first of what this invoice itself charges for its period.
            period = (line.subscription, line.period_start)
            left = own[period] if period in own else _bounded_by(line, made)
            own[period] = left - min(left, back)
            back = back - min(left, back)
        back = back - _charged_again(line, back, made, again)
        of = _in_parts(desk, line, back) if line.of else _earlier(desk, invoice, line, back)
        found.append(replace(line, of=tuple(of)))
    return replace(totals, lines=tuple(found))


def _charged_again(
    line: Line, back: Money, made: Sequence[Line], again: dict[int, Money]
) -> Money:  # fmt: skip
    """What of usage that turned out less was above the maximum of its period, so that this invoice
    charges it again: nothing of an earlier one is given back by that. `again` is what is left of
    such lines."""
    taken = back * 0
    for bound in made:
        if id(bound) in again and line.kind in _USED and _within(line, bound):
            part = min(back - taken, again[id(bound)])
            again[id(bound)] -= part
            taken += part
    return taken


def left_of_period(desk: Desk, sub: Mapping[str, Any], start: datetime, end: datetime) -> Money:
    """What invoices still charge of the prices of a subscription's period, before discounts, and
    less what a maximum took off them."""
    found = Fraction()
    for invoice in desk.select("Invoice", customer=sub["customer"]):
        if invoice["status"] in ("draft", "void") or invoice["currency"] != sub["currency"]:
            continue
        if _is_before(invoice, start):
            continue
        rows = sorted(desk.select("InvoiceLine", invoice=invoice["id"]), key=_position)
        mine = {
            place: row for place, row in enumerate(rows)
            if row["subscription"] == sub["id"] and _is_of(row, start, end)
        }  # fmt: skip
        if mine:
            capped = (_above(invoice, row) for row in rows if _caps(row, sub["id"], start, end))
            found += _left_of_lines(desk, invoice, mine, sum(capped, Fraction()))
    return proration.portion(Money(1, sub["currency"]), found).rounded(settings(desk).half_even)


def _left_of_lines(
    desk: Desk, invoice: Mapping[str, Any], lines: Mapping[int, Mapping[str, Any]], above: Fraction
) -> Fraction:
    """What lines still charge, before discounts: what notes left of them and was not `above` a
    maximum, and no more than is left of their invoice."""
    noted: dict[int, Fraction] = {}
    for note in desk.select("CreditNote", invoice=invoice["id"]):
        for part in note["lines"] or ():
            given = Fraction(part["amount"].amount)
            noted[part["place"]] = noted.get(part["place"], Fraction()) + given
    price, gross, left = Fraction(), Fraction(), -above
    for place, row in lines.items():
        net, whole = Fraction((row["amount"] - row["discount"]).amount), _price(invoice, row)
        price += whole
        gross += Fraction(_asked(row).amount)
        left += whole * max(1 - noted.get(place, Fraction()) / net, Fraction()) if net else whole
    if not gross:
        return left
    rest = max(Fraction(left_of_charges(desk, invoice["id"]).amount), Fraction())
    return min(left, rest * price / gross)


def _caps(row: Mapping[str, Any], sub: str, start: datetime, end: datetime) -> bool:
    """Whether a line is of the maximum of a period."""
    mine = row["kind"] == "maximum" and row["subscription"] == sub
    return mine and bool(start <= row["period_start"] < end)


def _above(invoice: Mapping[str, Any], line: Mapping[str, Any]) -> Fraction:
    """What the line of a maximum took off its own invoice; earlier ones know their part."""
    total = line["amount"] - line["discount"] + line["tax"]
    own = 1 - Fraction(_given(line).amount) / -Fraction(total.amount) if total else 1
    return -_price(invoice, line) * own


def _price(invoice: Mapping[str, Any], line: Mapping[str, Any]) -> Fraction:
    """What a line comes to before discounts, in terms of the price: an included tax is in it."""
    amount, net = Fraction(line["amount"].amount), line["amount"] - line["discount"]
    inclusive = taxed.inclusive(invoice)
    return amount * proration.ratio(net + line["tax"], net) if inclusive and net else amount


def _is_of(row: Mapping[str, Any], start: datetime, end: datetime) -> bool:
    """Whether a line charged for a time within a period."""
    begins, ends = row["period_start"], row["period_end"]
    if row["kind"] not in _BOUNDED or row["amount"].amount <= 0 or ends is None:
        return False
    # What was billed at the instant at which its period began has no length.
    return bool(begins < end and (start < ends or start <= begins))


def _is_before(invoice: Mapping[str, Any], start: datetime | None) -> bool:
    """Whether all that an invoice is for had ended at an instant: its lines need no look."""
    end = invoice["period_end"]
    return end is None or (start is not None and bool(end < start))


def _position(row: Mapping[str, Any]) -> int:
    return int(row["position"])


def not_noted(desk: Desk, draft: str) -> None:
    """Takes back what `noted` did for a draft, before that is made anew."""
    for line in desk.select("InvoiceLine", invoice=draft):
        if line["kind"] in _OF_ANY and line["amount"].amount < 0:
            take_back(desk, line, line["amount"] - line["discount"])


def _in_parts(desk: Desk, line: Line, back: Money) -> Iterator[GivenBack]:
    """What a line of usage gives back, by what each invoice had asked for of it: noted on them."""
    parts = spread(back, [each.amount.amount for each in line.of])
    for each, part in zip(line.of, parts, strict=True):
        if part:
            note(desk, each.invoice, part)
            yield each._replace(amount=part)


def _bounded_by(bound: Line, lines: Sequence[Line]) -> Money:
    """What an invoice itself charges for the period that a maximum is of."""
    mine = (
        line.total for line in lines
        if line.kind in BOUND_KINDS and line.covers is None and line.counted is None
        and line.total.amount > 0 and _within(line, bound)
    )  # fmt: skip
    return sum(mine, zero(bound.amount.currency))


def _earlier(
    desk: Desk, invoice: Mapping[str, Any], line: Line, back: Money
) -> Iterator[GivenBack]:
    """Of which earlier invoices a line gives back, the newest first: no more than is left of each
    and of what it charged for the same; it is noted on them."""
    rows = (
        row for row in desk.select("Invoice", customer=invoice["customer"])
        if row["id"] != invoice["id"] and row["status"] not in ("draft", "void")
        and row["currency"] == invoice["currency"] and not _is_before(row, line.period_start)
    )  # fmt: skip
    for row in sorted(rows, key=lambda row: row["issued_at"], reverse=True):
        if not back:
            return
        lines = desk.select("InvoiceLine", invoice=row["id"])
        asked = sum((_asked(each) for each in lines if _same(each, line)), back * 0)
        part = min(back, asked, left_of_charges(desk, row["id"])) if asked else asked
        if part > back * 0:
            note(desk, row["id"], part)
            yield GivenBack(row["id"], part)
            back = back - part


def of_earlier(desk: Desk, invoice: str) -> Money:
    """What the lines of an invoice gave back of earlier ones, with tax."""
    lines = desk.select("InvoiceLine", invoice=invoice)
    return sum((_given(line) for line in lines), Money(0, desk.row("Invoice", invoice)["currency"]))


def _given(line: Mapping[str, Any]) -> Money:
    """What a line gave back of earlier invoices: no more than it comes to itself."""
    total: Money = line["discount"] - line["amount"] - line["tax"]
    given = sum((each["amount"] for each in line["credited"] or ()), total * 0)
    return min(given, max(total, total * 0))


def later_lines(
    desk: Desk, invoice: Mapping[str, Any]
) -> Iterator[tuple[Mapping[str, Any], Money, Money]]:
    """The lines of later invoices that gave back something of one: how much before tax, and the
    tax, as far as that still holds."""
    if not invoice["returned"]:
        return
    found = []
    for row in desk.select("Invoice", customer=invoice["customer"]):
        if row["status"] not in ("draft", "void"):
            for line in desk.select("InvoiceLine", invoice=row["id"]):
                found += [
                    (line, each["amount"])
                    for each in line["credited"] or ()
                    if each["invoice"] == invoice["id"]
                ]
    if not found:
        return
    # Less than its lines say, where a note took one of them back.
    backs = spread(invoice["returned"], [back.amount for _, back in found])
    for (line, _), back in zip(found, backs, strict=True):
        total = line["discount"] - line["amount"] - line["tax"]
        tax = proration.portion(line["tax"], proration.ratio(-back, total)).rounded(
            settings(desk).half_even
        )
        yield line, back - tax, tax


def take_back(desk: Desk, line: Mapping[str, Any], amount: Money) -> Money:
    """Notes that a part of a line below zero, before tax, is not given back after all; what of it
    earlier invoices charge again, above zero."""
    given, zero = line["credited"] or (), amount * 0
    net, whole = line["discount"] - line["amount"], line["discount"] - line["amount"] - line["tax"]
    if not given or net <= zero or whole <= zero:
        return zero
    half_even = settings(desk).half_even
    for each in given:
        part = proration.portion(each["amount"], proration.ratio(-amount, net)).rounded(half_even)
        returned = desk.row("Invoice", each["invoice"])["returned"] or zero
        desk.change("Invoice", each["invoice"], returned=max(returned - part, zero))
    return proration.portion(-amount, proration.ratio(_given(line), whole)).rounded(half_even)


def _asked(row: Mapping[str, Any]) -> Money:
    """What a line of an invoice asks for, with tax."""
    total: Money = row["amount"] - row["discount"] + row["tax"]
    return max(total, total * 0)


def _same(row: Mapping[str, Any], line: Line) -> bool:
    """Whether a line of an earlier invoice charged for what a line gives back."""
    if row["subscription"] != line.subscription:
        return False
    begins, ends = line.period_start, line.period_end
    assert begins is not None and ends is not None, line
    used = line.kind == "maximum" or (
        row["kind"] in _USED and row["description"] == line.description
    )
    return used and _is_of(row, begins, ends)


def _within(line: Line, bound: Line) -> bool:
    begins, ends, at = bound.period_start, bound.period_end, line.period_start
    return line.subscription == bound.subscription and bool(
        begins and ends and at and begins <= at < ends
    )
