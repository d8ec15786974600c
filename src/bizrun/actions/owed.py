"""What a subscription owes: prices in advance and in arrears, usage, bounds, lines that wait.

Everything here reads and computes; renewals, changes and previews all ask it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any

from ..billing import invoicing, lines, periods, proration
from ..billing.invoicing import Bound, GivenBack, Line
from ..billing.lines import Origin
from ..billing.periods import Period
from ..billing.proration import Charge
from ..billing.rating import TierLine
from ..values import Money
from . import alike, apart, bounds, charged, corrections, payments, taxed, usage
from .billed import Metered
from .customers import settings, zone_in
from .desk import Desk
from .terms import Item, advance_prices, cycle_of, items, prices_of
from .usage import share_of

_WAITING = (
    "kind", "description", "amount", "quantity", "unit_amount", "subscription", "plan", "meter",
    "period_start", "period_end", "discountable", "most",
)  # fmt: skip


_STEP = TierLine.__struct_fields__


@dataclass(slots=True)
class Owed:
    """Lines that fall due, the bounds of their period, and the usage windows among them."""

    lines: list[Line] = field(default_factory=list)
    bounds: list[Bound] = field(default_factory=list)
    metered: list[Metered] = field(default_factory=list)


def advance(
    desk: Desk, sub: Mapping[str, Any], period: Period, items_: Sequence[Item]
) -> list[Line]:
    """The prices in advance of a period; less for a first one that is cut short."""
    share = proration.period_share(period, settings(desk).proration, zone_in(desk, sub))
    found: list[Line] = []
    for item in items_:
        subject = lines.Subject.of(sub["id"], item.plan)
        found += lines.base_lines(
            subject, advance_prices(item.plan, sub), item.quantity, period.start, period.end,
            share, item.name,
        )  # fmt: skip
    return found


def set_up(sub: Mapping[str, Any], items_: Sequence[Item]) -> list[Line]:
    """The prices that are due once, with the first period."""
    return [
        line for item in items_
        for line in alike.once(item.plan, item.quantity, sub["currency"], sub["id"])
    ]  # fmt: skip


def arrears(desk: Desk, sub: Mapping[str, Any], end: datetime, final: bool = False) -> Owed:
    """What has come due by an instant; `final` where periods end there before their time."""
    found = Owed(waiting(sub))
    found.metered += corrections.due(desk, sub)
    found.bounds += bounds.again(desk, found.metered)
    found.lines += base_in_arrears(desk, sub, end)
    found.metered += apart.apart_from_others(desk, sub, list(usage.owed(desk, sub, end, final)))
    found.lines += [line for metered in found.metered for line in metered.lines]
    found.bounds += bounds.bounds_of(desk, sub, end)
    return found


def standing(desk: Desk, sub: Mapping[str, Any]) -> Owed:
    """What any next invoice takes with it: the lines that wait for one, and corrections."""
    found = Owed(waiting(sub), metered=corrections.due(desk, sub))
    found.bounds += bounds.again(desk, found.metered)
    found.lines += [line for metered in found.metered for line in metered.lines]
    return found


def base_in_arrears(
    desk: Desk, sub: Mapping[str, Any], end: datetime, only: str | None = None
) -> list[Line]:
    """The prices in arrears for the days used; `only` one item's."""
    found: list[Line] = []
    for item in items(desk, sub, sub["period_start"]):
        late = [price for price in prices_of(item.plan, sub) if price.arrears]
        if not late or only not in (None, item.name):
            continue
        period = periods.period_at(cycle_of(desk, sub), sub["period_start"])
        known = (sub["billing"] or {}).get("arrears_from") or {}
        start = known.get(item.name) or known.get("*") or period.start
        share = share_of(desk, sub, period, start, end)
        if settings(desk).proration != "none" and not share:
            continue
        subject = lines.Subject.of(sub["id"], item.plan)
        found += lines.base_lines(subject, late, item.quantity, start, end, share)
    return found


def unused(desk: Desk, sub: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Money:
    """What of charges, undiscounted, lies from now on: a bound does not count it if given back.
    Rounded by item, as their credit lines are."""
    chosen, zone = settings(desk), zone_in(desk, sub)
    found = Money(0, sub["currency"])
    for item in dict.fromkeys(row["item"] for row in rows):
        full = as_charges([{**row, "amount": row["full"]} for row in rows if row["item"] == item])
        given = proration.credit(full, desk.now, chosen.proration, zone, chosen.half_even)
        found = sum(given, found)
    return found


# --- lines that wait for the next invoice ----------------------------------------------------


def waiting(sub: Mapping[str, Any]) -> list[Line]:
    """The lines that were put on the next invoice."""
    return from_rows((sub["billing"] or {}).get("waiting") or ())


def as_rows(made: Sequence[Line], covers: bool = False) -> list[dict[str, Any]]:
    """Lines as they are kept until an invoice; what they cover has been noted but for drafts."""
    names = (*_WAITING, "covers") if covers else _WAITING
    return [
        {
            **{name: getattr(line, name) for name in names},
            "explanation": [[getattr(step, name) for name in _STEP] for step in line.explanation],
            "dimensions": list(line.dimensions),
            "part": line.part and line.part.as_integer_ratio(),
            "beside": [list(each) for each in line.beside],
            "taxed": None if line.taxed is None else taxed.as_rows(line.taxed),
            "of": [list(each) for each in line.of],
            **_counted(line, covers),
        }
        for line in made
    ]


def _counted(line: Line, covers: bool) -> dict[str, str]:
    item = line.counted if covers or line.covers is None else line.covers
    return {} if item is None else {"counted": item}


def from_rows(rows: Sequence[Mapping[str, Any]]) -> list[Line]:
    """Lines that were kept until an invoice."""
    return [
        Line(**{
            **row, "dimensions": tuple(row.get("dimensions") or ()),
            "part": Fraction(*row["part"]) if row.get("part") else None,
            "beside": tuple(
                (plan, amount, whose[0] if whose else None)
                for plan, amount, *whose in row.get("beside") or ()
            ),
            "explanation": tuple(TierLine(*step) for step in row.get("explanation") or ()),
            "taxed": taxed.from_rows(row.get("taxed")),
            "of": tuple(GivenBack(*each) for each in row.get("of") or ()),
        })
        for row in rows
    ]  # fmt: skip


def settled(desk: Desk, owed: Owed) -> list[Line]:
    """The lines with the top-up or discount of their bounds, for an invoice to come."""
    half_even = settings(desk).half_even
    rounded = invoicing.round_lines(owed.lines, half_even)
    return [*rounded, *invoicing.bound_lines(rounded, owed.bounds, half_even)]


# --- what was really charged -----------------------------------------------------------------


def charges_of(sub: Mapping[str, Any], item: str | None = None) -> list[dict[str, Any]]:
    """What was charged for the running period: of all, or of the plan or one add-on."""
    found = (sub["billing"] or {}).get("charges") or []
    return [charge for charge in found if item is None or charge["item"] == item]


def as_charges(rows: Sequence[Mapping[str, Any]]) -> list[Charge]:
    """The same in the form that proration computes with."""
    return [Charge(c["amount"], c["start"], c["end"], c["given_back"]) for c in rows]


def with_charges(rows: Sequence[dict[str, Any]], charges: Sequence[Charge]) -> list[dict[str, Any]]:
    """Rows with what proration has made of them."""
    return [
        {**row, "amount": c.amount, "start": c.start, "end": c.end, "given_back": c.given_back}
        for row, c in zip(rows, charges, strict=False)
    ]


def charge_rows(
    made: Sequence[tuple[Line, str]], invoice: str, sub: str, waited: bool = False
) -> list[dict[str, Any]]:
    """What an invoice really charged a subscription in advance, line by line; with what had
    `waited` for it. `full` is the amount without discounts.
    """
    return [
        {
            "item": line.counted if line.covers is None else line.covers,
            "amount": line.charged, "start": line.period_start, "end": line.period_end,
            "given_back": line.zero, "line": key, "invoice": invoice,
            "full": line.charged + (line.discount or line.zero),
            "taxes": taxed.as_rows(taxed.of(line)) if line.taxes else [],
        }
        for line, key in made
        if line.subscription == sub
        and (line.covers is not None or (waited and line.counted is not None))
    ]  # fmt: skip


def invoiced(
    rows: Sequence[dict[str, Any]], made: Sequence[tuple[Line, str]], invoice: str, sub: str
) -> list[dict[str, Any]]:
    """Charges, with those that waited as an invoice within their period really made them: at its
    discounts and taxes, of its lines. One of which something was given back stays as it is."""
    found = list(rows)
    # The newest first: of changes on one day, which lines of the same time are of, the last holds.
    for line, key in reversed(made):
        if line.counted is None or line.subscription != sub:
            continue
        places = reversed(range(len(found)))
        place = next((n for n in places if _waited_as(found[n], line)), None)
        if place is not None:
            [found[place]] = charge_rows([(line, key)], invoice, sub, True)
    return found


def _waited_as(row: Mapping[str, Any], line: Line) -> bool:
    """Whether a charge is the one that a line waited for."""
    return bool(
        row["line"] == ""
        and row["item"] == line.counted
        and not row["given_back"]
        and (row["start"], row["end"]) == (line.period_start, line.period_end)
    )


def origins(desk: Desk, rows: Sequence[Mapping[str, Any]]) -> list[Origin]:
    """How each of the charges was made: its taxes, and what is left of its invoice."""
    found = []
    for row in rows:
        held, invoice = taxed.from_rows(row.get("taxes")), row["invoice"]
        on_it = held is not None and held.taxes and invoice
        left = charged.left_of_charges(desk, invoice) if on_it else None
        found.append(Origin(held, invoice, left))
    return found


def give_back(
    desk: Desk, rows: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> list[Origin]:
    """Notes on their invoices what charges give back; how each of them was made."""
    made_by = origins(desk, rows)
    noted = payments.give_back(desk, rows, after)
    return [
        each._replace(noted=back) if back else each
        for each, back in zip(made_by, noted, strict=True)
    ]
