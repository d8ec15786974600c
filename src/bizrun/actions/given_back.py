"""What is given back of usage that was billed, by credit notes and by corrections: never more,
both together, than was charged for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from fractions import Fraction
from typing import Any

from ..billing import proration
from ..values import Money
from . import taxed
from .customers import settings
from .desk import Desk

# A line shows milliseconds of where its period begins.
_SHOWN = timedelta(milliseconds=1)
# Windows of a meter that are looked through for the one a line stands for.
_LOOKED_AT = 64


def noted(desk: Desk, invoice: Mapping[str, Any], line: Mapping[str, Any], part: Money) -> None:
    """Notes on a billed usage period what was given back of its line, by a note, a refund or a
    void: a correction gives back of what is left. `part` is before tax; below zero it is charged
    after all (a refund that failed)."""
    net = line["amount"] - line["discount"]
    if net:
        whole = net + line["tax"] if taxed.inclusive(invoice) else net
        taken = proration.portion(whole, proration.ratio(part, net))
        _take(desk, invoice, line, taken.rounded(settings(desk).half_even))


def _take(
    desk: Desk, invoice: Mapping[str, Any], line: Mapping[str, Any], taken: Money | Fraction
) -> None:
    """Takes an amount off what is charged of a line's usage, or a part of what is left of it."""
    if line["kind"] not in ("usage", "correction") or not line["meter"]:
        return
    about = {"customer": invoice["customer"], "meter": line["meter"]}
    until = [("start", "<=", line["period_end"])]
    rows = desk.rows("_usage", about, until, (("start", True),), _LOOKED_AT)
    found = [row for row in rows if _stands_in(line, row)]
    # A plan and its add-ons may rate a meter by one period: it is of what the line has charged.
    own = [row for row in found if _asked_by(row["billed"], line)]
    for row in (own or found)[:1]:
        desk.put("_usage", row["id"], {**row, "billed": _less(row["billed"], line, taken)})
    if not found:
        _less_running(desk, line, taken)


def _asked_by(parts: Sequence[Any], line: Mapping[str, Any]) -> bool:
    """Whether a line of an invoice has charged some of billed parts."""
    return any(
        each[3:4] == [line["id"]]
        for _, _, _, *known in parts if known
        for each in asked_rows(known)
    )  # fmt: skip


def voided(desk: Desk, invoice: Mapping[str, Any]) -> None:
    """The same of all lines of an invoice that is void."""
    for line in desk.select("InvoiceLine", invoice=invoice["id"]):
        noted(desk, invoice, line, line["amount"] - line["discount"])


def refunded(desk: Desk, invoice: Mapping[str, Any], share: Fraction) -> None:
    """The same of a refund over a share of what is left of an invoice; below zero, one has failed
    over that share of all that it charged. What its lines gave back stays given back."""
    for line in desk.select("InvoiceLine", invoice=invoice["id"]):
        net = line["amount"] - line["discount"]
        if net.amount > 0 and share > 0:
            _take(desk, invoice, line, share)
        elif net.amount > 0:
            noted(desk, invoice, line, proration.portion(net, share))


def _stands_in(line: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether a line is of a usage period, or of a part of it that was billed before its end."""
    return bool(
        row["subscription"] == line["subscription"]
        and row["start"] <= line["period_start"] + _SHOWN and line["period_end"] <= row["end"]
    )  # fmt: skip


def _less_running(desk: Desk, line: Mapping[str, Any], taken: Money | Fraction) -> None:
    """The same of a usage period that still runs, of which a part was billed."""
    sub = desk.row("Subscription", line["subscription"])
    known = dict(sub["billing"] or {})
    billed = dict(known.get("billed") or {})
    found = [name for name in billed if name.endswith(f"|{line['meter']}")]
    own = [name for name in found if _asked_by(billed[name], line)]
    for name in (own or found)[:1]:
        billed[name] = _less(billed[name], line, taken)
    if found:
        desk.change("Subscription", sub["id"], billing={**known, "billed": billed})


def _less(
    parts: Sequence[Any], line: Mapping[str, Any], taken: Money | Fraction
) -> list[list[Any]]:
    """What was charged of billed parts, less what was taken of a line's: never below nothing."""
    found = []
    for values, quantity, amount, *known in parts:
        asked = asked_rows(known) if known else [[amount, None, line["invoice"]]]
        if " ".join((line["meter"], *values)) == line["description"]:
            if isinstance(taken, Fraction):
                mine = (each[0] for each in asked if _is_of(each, line))
                taken = proration.portion(sum(mine, amount * 0), taken).rounded()
            asked = _less_asked(asked, line, taken, amount)
        found.append([values, quantity, amount, asked])
    return found


def _is_of(asked: Sequence[Any], line: Mapping[str, Any]) -> bool:
    """Whether a line of an invoice has asked for something; older states kept the invoice alone."""
    known: Any = asked[3] if len(asked) > 3 else None
    return bool(known == line["id"] if known else asked[2] == line["invoice"])


def asked_rows(known: Sequence[Any]) -> Sequence[Sequence[Any]]:
    """What invoices asked for of a billed part, as its row keeps it: [amount, taxes, invoice, line]
    of each, and what part of the price that is; older states kept no lines, and before that one
    amount of all, and its taxes."""
    if isinstance(known[0], Money):
        return [[known[0], known[1] if len(known) > 1 else None, None]]
    found: Sequence[Sequence[Any]] = known[0]
    return found


def _less_asked(
    asked: Sequence[Sequence[Any]], line: Mapping[str, Any], taken: Money, most: Money
) -> list[list[Any]]:
    """What invoices asked for of a part, less what was taken of a line: first of what that asked
    for, then of the others. Below zero it is charged after all, up to all of the part."""
    if taken.amount < 0:
        taken = max(taken, sum((each[0] for each in asked), -most))
        asked = asked or [[most * 0, None, line["invoice"], line["id"]]]
    found = []
    for charged, *how in sorted(asked, key=lambda each: not _is_of(each, line)):
        part = min(taken, charged)
        taken -= part
        found.append([charged - part, *how])
    return found
