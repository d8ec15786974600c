"""One-off lines: an invoice of their own, or with the next one of a subscription."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..billing.invoicing import Line
from ..billing.lines import one_off_line
from ..errors import Refusal
from ..values import Money, Number, show
from . import invoices, owed
from .arguments import checked_amount
from .customers import customer_row, subscriptions
from .desk import Desk
from .status import living
from .terms import checked_quantity, held


def invoice(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str | None:
    """`invoice { customer, lines, when? }`; with `when: "next"` there is no invoice yet."""
    customer, given = args["customer"], args["lines"]
    if not given:
        raise Refusal("an invoice needs at least one line")
    later = args.get("when") == "next"
    sub = _taken_by(desk, args, given) if later else None
    lines = [_line(line, sub) for line in given]
    currency = lines[0].amount.currency
    for line in lines:
        if line.amount.currency != currency:
            raise Refusal(f"an invoice is in one currency, not {currency} and "
                          f"{line.amount.currency}")  # fmt: skip
    customer_row(desk, customer)
    due = args.get("due")
    if due is not None and due < desk.now:
        raise Refusal(f"an invoice can't be due at {show(due)}: that is over")
    if sub is not None:
        _wait(desk, sub, lines)
        return None
    made = invoices.issue(
        desk, customer, lines, f"{customer}/one_off/{site}", "one_off", currency,
        collecting=args.get("collect") is not False, due=due,
    )  # fmt: skip
    if made is None:
        raise Refusal("an invoice needs a line that says something")
    return made.key


def _line(line: Mapping[str, Any], sub: str | None) -> Line:
    quantity: Number | None = line.get("quantity")
    counted = checked_quantity(1 if quantity is None else quantity)
    return one_off_line(line["description"], _amount(line), counted, sub)


def _amount(line: Mapping[str, Any]) -> Money:
    amount = line.get("amount")
    if not isinstance(amount, Money):
        raise Refusal(f"the line `{line.get('description')}` needs an amount of money")
    return checked_amount(f"the amount of `{line.get('description')}`", amount)


def _taken_by(desk: Desk, args: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> str:
    """The subscription whose next invoice takes the lines: the one given, or the oldest."""
    customer, currency = args["customer"], _amount(lines[0]).currency
    if args.get("due") is not None or args.get("collect") is not None:
        raise Refusal("lines for the next invoice are due and collected as that one is")
    if args.get("subscription") is None:
        for each in subscriptions(desk, customer):
            if each["currency"] == currency:
                return str(each["id"])
        raise Refusal(f"{customer} has no subscription in {currency} whose next invoice takes them")
    sub = living(desk, args["subscription"], "billed")
    if sub["customer"] != customer or sub["currency"] != currency:
        raise Refusal(f"subscription {sub['id']} is of {sub['customer']} and in {sub['currency']}")
    return str(sub["id"])


def _wait(desk: Desk, key: str, lines: Sequence[Line]) -> None:
    """Has lines wait; where the subscription began in this step, its first invoice takes them."""
    for place, turn in enumerate(desk.begun):
        if turn.after["id"] == key:
            desk.begun[place] = replace(turn, advance=[*turn.advance, *lines], plain=False)
            return
    known = held(desk.row("Subscription", key))
    known["waiting"] = [*(known.get("waiting") or ()), *owed.as_rows(lines)]
    desk.change("Subscription", key, billing=known)
