"""What a customer is given, pays for by itself, and gets back: credit, one-off lines, notes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

from .books import ZERO, Purse, credit_note, in_proportion, lower, send_back
from .calendars import local_date
from .metered import Metered
from .world import Act, Bill, Line


class Payments(Metered):
    """The part of a customer's life that is about money alone."""

    purse: Purse
    bills: list[Bill]
    refused: int

    def _grant(self, act: Act) -> None:
        self.purse.grant(act.data["amount"], act.data.get("expires"), **self._terms_of(act))

    def _terms_of(self, act: Act) -> dict[str, Any]:
        return {name: act.data[name] for name in ("priority", "kind", "meter") if name in act.data}

    def _sell(self, act: Act) -> None:
        """Credit that counts from the payment of its invoice, and no credit pays that."""
        grant = self.purse.grant(ZERO, act.data.get("expires"), **self._terms_of(act))
        price = self.rules.round(act.data["price"])
        line = Line(price, "sale", local_date(act.at, self.zone), discounted=False)
        self._make(act.at, [line], [], "sale")
        made = self.bills[-1]
        made.sells = grant
        if not made.open:
            grant.left = act.data["amount"]

    def _oneoff(self, act: Act) -> None:
        lines = [
            Line(self.rules.round(amount), "one_off", local_date(act.at, self.zone))
            for amount in act.data["amounts"]
        ]
        self._make(act.at, lines, [], "one_off")

    def _noted(self, act: Act) -> None:
        """A credit note over a part of the newest invoice: account credit."""
        made = next((bill for bill in reversed(self.bills) if bill.total > 0), None)
        if made is not None:
            net = sum((line.amount - line.share for line in made.lines), ZERO)
            # The language rounds halves up.
            amount = replace(self.rules, rounding="half_up").round(net * act.data["part"])
            if amount <= 0:
                return
            given = [replace(line) for line in made.lines]
            total = credit_note(self.rules, given, amount)
            nothing_left = not total or total > made.total - made.returned
            if nothing_left or (made.paid and self._used_up(made, amount)):
                # More than is still charged, or than is left of the credit that was sold.
                self.refused += 1
                return
            if made.sells is not None and made.paid:
                made.sells.left -= amount
            made.returned += total
            for line, after in zip(made.lines, given, strict=True):
                line.given = after.given
            rest = lower([made], total)
            if act.data.get("refund"):
                rest = send_back([made], rest)
            if rest:
                self.purse.grant(rest)

    def _used_up(self, made: Bill, amount: Fraction) -> bool:
        """Whether credit that was sold at its price is used up too far to take so much back."""
        return made.sells is not None and amount > made.sells.left

    def _refund(self, act: Act) -> None:
        """A part of the newest payment goes back."""
        made = next((bill for bill in reversed(self.bills) if bill.paid > bill.refunded), None)
        if made is None:
            return
        amount = replace(self.rules, rounding="half_up").round(made.paid * act.data["part"])
        left = min(made.paid - made.refunded, max(made.total - made.returned, ZERO))
        if not amount:
            return
        if amount > left or self._used_up(made, amount):
            self.refused += 1
            return
        if made.sells is not None:
            made.sells.left -= amount
        charged = [line for line in made.lines if line.amount > 0]
        if self.rules.inclusive or len(charged) == 1:
            for line in charged:
                # Its part of what was charged, without the tax in it.
                gross = line.amount - line.share + line.tax
                rest = line.amount - line.share - line.given - line.sent
                line.sent += self.rules.round(amount * rest / (gross - made.returned))
        made.refunded += amount
        made.returned += amount

    def _withdraw(self, act: Act) -> None:
        """Withdraws the newest invoice that is open: it gives back what it had used."""
        made = next((bill for bill in reversed(self.bills) if bill.open and not bill.void), None)
        if made is None:
            return
        if made.open + sum(part for _, part in made.took) > made.total - made.returned:
            # A later invoice has credited a part of it, and not by lowering what is due on it.
            self.refused += 1
            return
        made.void, made.open = True, ZERO
        for grant, part in made.took:
            grant.left += part
        for attached in made.once:
            attached.used = False
        for line in made.lines:
            line.given = line.amount - line.share
            for other, back in line.noted:
                other.returned -= back

    def _note_corrected(self, made: Bill) -> None:
        """Notes on the invoices that charged for usage what a correction gives back of it."""
        # What was above a maximum is charged again: nothing is given back by it.
        again = {
            id(line.bounded): line.amount - line.share + line.tax
            for line in made.lines
            if line.bounded and line.amount > 0 and line.kind in ("bound", "maximum")
        }
        for line in made.lines:
            back = line.share - line.amount - line.tax
            if back > 0 and line.of and line.bounded:
                part = min(back, again.get(id(line.bounded), ZERO))
                again[id(line.bounded)] = again.get(id(line.bounded), ZERO) - part
                back -= part
            weights = [part for _, part in line.of]
            if line.share and weights:
                shares = in_proportion(line.share, weights, self.rules.currency)
                for (each, _), part in zip(line.of, shares, strict=True):
                    each.back += part
            for (each, _), part in zip(
                line.of, in_proportion(back, weights, self.rules.currency), strict=True
            ):
                if (bill_ := self._bill_of(each)) is not made:
                    bill_.returned += part

    def _bill_of(self, line: Line) -> Bill:
        return next(made for made in self.bills if any(each is line for each in made.lines))
