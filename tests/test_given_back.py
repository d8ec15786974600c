"""What is given back: random sequences of all actions that take money back, shrunk where they fail.

`test_billing_lives.py` lives long lives and looks at their end; here lives are short, every event
is followed by the whole of the checks, and hypothesis finds the shortest life that fails one.
In the end all is given back that can be: by ends, notes, voids and refunds, in any order.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bizrun.model import Event
from bizrun.pipeline import compile_spec, open_engine
from bizrun.providers.sandbox import Sandbox
from bizrun.reports.verify import verify
from bizrun.store.memory import MemoryStore
from bizrun.values import Money

# A plain run tries the same ones each time; `BIZRUN_GIVEN_BACK=20000` tries others, and more.
WIDE = os.environ.get("BIZRUN_GIVEN_BACK")
EXAMPLES = int(WIDE or "50")
LONGEST = 25
START = datetime(2026, 1, 5, 9, tzinfo=UTC)

# CUR, and amounts by their minor units: `m(2999)` is 29.99 USD, 2999 JPY, 2.999 KWD.
SPEC = """
business "Back" { currency CUR, timezone "UTC", bills Account, OPTIONS }
entity Account { id text key, country text }
event G.new { account text, country text }
event G.subscribe { account Account, plan plan, quantity integer, coupon coupon? }
event G.change {
  sub Subscription, plan plan, when "now" | "period_end", prorate bool, invoice "now" | "next"
  refund bool, reset bool = false
}
event G.quantity {
  sub Subscription, quantity integer, when "now" | "period_end", prorate bool
  invoice "now" | "next"
}
event G.addon { sub Subscription, addon plan, quantity integer }
event G.pause { sub Subscription }
event G.resume { sub Subscription }
event G.cancel { sub Subscription, when "now" | "period_end", prorate bool, refund bool }
event G.coupon { account Account, coupon coupon }
event G.usage key account { account Account, units number }
event G.grant { account Account, amount money, expires time?, limited bool }
event G.sell { account Account, amount money, price money }
event G.note { invoice Invoice, line InvoiceLine?, amount money?, refund bool }
event G.refund { payment Payment, amount money? }
event G.void { invoice Invoice }
event G.pay { invoice Invoice, amount money?, from_credit bool }
event G.oneoff { account Account, amount money }
event G.tick { account Account }
event G.dispute { payment Payment, amount money?, fee money? }
event G.decide { dispute PaymentDispute, outcome "won" | "lost" }
event G.charge { account Account, amount money, shared bool, held bool }
meter calls { sum units of G.usage per account }
on G.new as e { create Account { id: e.account, country: e.country } }
on G.subscribe as e {
  subscribe { customer: e.account, plan: e.plan, quantity: e.quantity, coupon: e.coupon }
}
on G.change as e {
  change_plan {
    subscription: e.sub, plan: e.plan, when: e.when, prorate: e.prorate, invoice: e.invoice
    refund: e.refund, reset: e.reset
  }
}
on G.quantity as e {
  set_quantity {
    subscription: e.sub, quantity: e.quantity, when: e.when, prorate: e.prorate
    invoice: e.invoice
  }
}
on G.addon as e {
  if e.quantity == 0 { remove_addon { subscription: e.sub, addon: e.addon } }
  else { add_addon { subscription: e.sub, addon: e.addon, quantity: e.quantity } }
}
on G.pause as e { pause { subscription: e.sub } }
on G.resume as e { resume { subscription: e.sub } }
on G.cancel as e {
  cancel { subscription: e.sub, when: e.when, prorate: e.prorate, refund: e.refund }
}
on G.coupon as e { apply_coupon { customer: e.account, coupon: e.coupon } }
on G.grant as e {
  if e.limited {
    credit { customer: e.account, amount: e.amount, expires: e.expires, meters: [calls] }
  } else { credit { customer: e.account, amount: e.amount, expires: e.expires } }
}
on G.sell as e { credit { customer: e.account, amount: e.amount, price: e.price } }
on G.note as e {
  credit_note { invoice: e.invoice, line: e.line, amount: e.amount, refund: e.refund }
}
on G.refund as e { refund { payment: e.payment, amount: e.amount } }
on G.void as e { void_invoice { invoice: e.invoice } }
on G.pay as e {
  pay_invoice { invoice: e.invoice, amount: e.amount, from_credit: e.from_credit }
}
on G.dispute as e { open_dispute { payment: e.payment, amount: e.amount, fee: e.fee } }
on G.decide as e { close_dispute { dispute: e.dispute, outcome: e.outcome } }
on G.charge as e {
  if e.shared {
    charge {
      customer: e.account, amount: e.amount, hold: e.held
      split: [{ to: "s", share: 33% }, { to: "t", share: 33% }]
    }
  } else { charge { customer: e.account, amount: e.amount } }
}
on G.oneoff as e {
  invoice { customer: e.account, lines: [
    { description: "Work", amount: e.amount, quantity: 1 }
    { description: "More", amount: e.amount, quantity: 2 }
  ] }
}
dunning d { retry after 2 days, 5 days, then ENDS }
tax one { 20% MODE when customer.country != "none" }
tax two { 7.25% MODE when customer.country == "both" }
coupon part { 33.3% off for 2 months }
coupon fixed { m(1000) off once }
plan small { price m(2999) per month }
plan large { price m(9000) per month, minimum m(9500), usage calls: m(35) }
plan seats { price m(1100) per seat per month, usage calls: m(20), maximum m(6000) }
plan both { price m(1500) per month, price m(701) per seat per month }
plan late { price m(4500) per month in arrears, usage calls: m(99) }
plan steps { price m(500) per month, usage calls: m(35), bill usage at m(3000), maximum m(4000) }
plan inner { price m(30000) per year, usage calls per month: m(35), maximum m(40000) }
plan yearly { price m(30000) per year, usage calls per month: m(10) }
addon extra { price m(777) per month, usage calls: m(3) }
addon desk { price m(301) per seat per month }
"""
PLANS = ("small", "large", "seats", "both", "late", "yearly", "steps", "inner")
COUPONS = (None, None, "part", "fixed")
EXPONENTS = {"USD": 2, "JPY": 0, "KWD": 3}
ENDS = ("suspend", "cancel", "mark_uncollectible")
OPTIONS = (
    "proration by day", "proration by second, credit before_tax", "rounding half_even",
    "proration by day, credit before_tax", "billing calendar", "grace 3 days",
)  # fmt: skip


@cache
def program(currency: str, mode: str, ends: str, options: str) -> Any:
    """The business above of one kind, compiled."""
    text = SPEC.replace("CUR", currency).replace("MODE", mode)
    text = text.replace("ENDS", ends).replace("OPTIONS", options)
    head, *rest = text.split("m(")
    for part in rest:
        units, _, tail = part.partition(")")
        head += f"{Decimal(int(units)).scaleb(-EXPONENTS[currency]):f} {currency}{tail}"
    with TemporaryDirectory() as folder:
        path = Path(folder, "back.biz")
        path.write_text(head, encoding="utf-8")
        checked, made = compile_spec(str(path))
    assert made is not None, [d.message for d in checked.diagnostics]
    return made


class Shop:
    """Two customers of such a business, and all that is checked of them."""

    def __init__(self, kind: tuple[str, str, str, str]) -> None:
        self.currency = kind[0]
        self.unit = Decimal(1).scaleb(-EXPONENTS[kind[0]])
        self.program = program(*kind)
        self.sandbox = Sandbox()
        self.engine = open_engine(self.program, MemoryStore(), self.sandbox)
        self.at = START
        self.log: list[str] = []
        # Refunds that were made at the processor ask nobody what is still charged.
        self.outside = False
        self.send("G.new", account="a", country="one")
        self.send("G.new", account="b", country="both")

    def send(self, type_: str, **data: Any) -> None:
        """An event, and the checks of what follows from it."""
        event = Event(f"e{len(self.log)}", type_, self.at, data)
        self.log.append(f"{self.at:%m-%dT%H} {type_} {data}")
        self.engine.submit(event, json.dumps({"id": event.id, "type": type_}))

    def rows(self, table: str, **equals: Any) -> list[dict[str, Any]]:
        return list(self.engine.state.select(table, equals, (), (("created_at", False),)))

    def act(self, days: int, kind: str, who: str, pick: int, part: Decimal, more: Any) -> None:
        """One action after some days; nothing where there is nothing to do it to."""
        if days:
            self.at += timedelta(days=days, hours=pick % 3)
            self.log.append(f"advance to {self.at}")
            self.engine.advance(self.at)
            self.check()
        data = getattr(self, kind)(who, pick, part, more)
        if data:
            self.send(data.pop("type", f"G.{kind}"), **data)
            self.check()

    def amount(self, whole: Money, part: Decimal) -> str | None:
        """A part of an amount; none at all is how an action is asked for all."""
        if not part:
            return None
        return f"{(whole.amount * part).quantize(self.unit):f} {self.currency}"

    def one(self, table: str, who: str, pick: int, **equals: Any) -> dict[str, Any] | None:
        """One of a customer's rows, the newest for 0."""
        rows = self.rows(table, customer=who, **equals)[::-1]
        return rows[pick % len(rows)] if rows else None

    # --- what may be done -----------------------------------------------------------------------

    def subscribe(self, who: str, pick: int, part: Decimal, more: Any) -> Any:
        if len(self.rows("Subscription", customer=who)) > 2:
            return None
        return {"account": who, "plan": more["plan"], "quantity": pick + 1,
                "coupon": more["coupon"]}  # fmt: skip

    def _how(self, more: Any) -> dict[str, Any]:
        return {"when": more["when"], "prorate": more["prorate"], "invoice": more["invoice"]}

    def change(self, who: str, pick: int, part: Decimal, more: Any) -> Any:
        sub = self.one("Subscription", who, pick)
        return sub and {"sub": sub["id"], "plan": more["plan"], "refund": more["refund"],
                        "reset": more["line"] == 3, **self._how(more)}  # fmt: skip

    def quantity(self, who: str, pick: int, part: Decimal, more: Any) -> Any:
        sub = self.one("Subscription", who, 0)
        return sub and {"sub": sub["id"], "quantity": pick + 1, **self._how(more)}

    def addon(self, who: str, pick: int, part: Decimal, more: Any) -> Any:
        sub = self.one("Subscription", who, 0)
        return sub and {"sub": sub["id"], "addon": "extra" if more["refund"] else "desk",
                        "quantity": pick}  # fmt: skip

    def pause(self, who: str, pick: int, part: Decimal, more: Any) -> Any:
        sub = self.one("Subscription", who, pick)
        return sub and {"sub": sub["id"]}

    resume = pause

    def cancel(self, who: str, pick: int, part: Decimal, more: Any) -> Any:
        sub = self.one("Subscription", who, pick)
        return sub and {"sub": sub["id"], "when": more["when"], "prorate": more["prorate"],
                        "refund": more["refund"]}  # fmt: skip

    def coupon(self, who: str, pick: int, part: Decimal, more: Any) -> Any:
        return {"account": who, "coupon": more["coupon"] or "part"}

    def usage(self, who: str, pick: int, part: Decimal, more: Any) -> Any:
        return {"account": who, "units": pick * 17 + 1}

    def late(self, who: str, pick: int, part: Decimal, more: Any) -> None:
        """Usage that comes days late, or takes back some that came."""
        at = self.at - timedelta(days=9 * pick, hours=3)
        if at < START:
            return
        units = (13 * pick + 2) * (-1 if more["refund"] else 1)
        event = Event(f"e{len(self.log)}", "G.usage", at, {"account": who, "units": units})
        self.log.append(f"{self.at:%m-%dT%H} of {at:%m-%dT%H}: {units} units of {who}")
        self.engine.submit(event, json.dumps({"id": event.id, "type": event.type}))
        self.check()

    def money(self, units: int) -> str:
        return f"{units * self.unit:f} {self.currency}"

    def grant(self, who: str, pick: int, part: Decimal, more: Any) -> Any:
        expires = (self.at + timedelta(days=20)).isoformat() if more["prorate"] else None
        return {"account": who, "amount": self.money(1 + 999 * pick), "expires": expires,
                "limited": more["refund"]}  # fmt: skip

    def sell(self, who: str, pick: int, part: Decimal, more: Any) -> Any:
        price = self.money(999 * (pick + 1) if more["prorate"] else 1333)
        return {"account": who, "amount": self.money(1000 * (pick + 1)), "price": price}

    def oneoff(self, who: str, pick: int, part: Decimal, more: Any) -> Any:
        return {"account": who, "amount": self.money(333 + pick)}

    def note(self, who: str, pick: int, part: Decimal, more: Any) -> Any:
        row = self.one("Invoice", who, pick)
        if row is None:
            return None
        line = None
        if more["line"]:
            lines = self.rows("InvoiceLine", invoice=row["id"])
            line = lines[more["line"] % len(lines)]["id"]
        return {"invoice": row["id"], "line": line, "refund": more["refund"],
                "amount": self.amount(row["subtotal"] - row["discount"], part)}  # fmt: skip

    def refund(self, who: str, pick: int, part: Decimal, more: Any) -> Any:
        row = self.one("Payment", who, pick, status="succeeded")
        return row and {"payment": row["id"], "amount": self.amount(row["amount"], part)}

    def void(self, who: str, pick: int, part: Decimal, more: Any) -> Any:
        row = self.one("Invoice", who, pick)
        return row and {"invoice": row["id"]}

    def pay(self, who: str, pick: int, part: Decimal, more: Any) -> Any:
        found = [r for r in self.rows("Invoice", customer=who) if r["amount_open"]]
        if not found:
            return None
        row, credit = found[pick % len(found)], more["prorate"]
        amount = None if credit else self.amount(row["amount_open"], part)
        return {"invoice": row["id"], "amount": amount, "from_credit": credit}

    def dispute(self, who: str, pick: int, part: Decimal, more: Any) -> Any:
        row = self.one("Payment", who, pick, status="succeeded")
        fee = self.money(1500) if more["refund"] else None
        return row and {"payment": row["id"], "amount": self.amount(row["amount"], part),
                        "fee": fee}  # fmt: skip

    def decide(self, who: str, pick: int, part: Decimal, more: Any) -> Any:
        row = self.one("PaymentDispute", who, pick)
        return row and {"dispute": row["id"], "outcome": "lost" if more["prorate"] else "won"}

    def charge(self, who: str, pick: int, part: Decimal, more: Any) -> Any:
        return {
            "account": who,
            "amount": self.money(100 + pick),
            "shared": more["refund"],
            "held": more["prorate"],
        }

    def bank(self, who: str, pick: int, part: Decimal, more: Any) -> Any:
        """Stripe tells of a dispute, of which it has told before or not."""
        row = self.one("Payment", who, more["line"], status="succeeded")
        amount = row and int((row["amount"].amount * (part or 1) / self.unit).to_integral_value())
        status = ("needs_response", "lost", "won", "lost", "warning_closed")[pick]
        return amount and {
            "type": "Stripe.charge.dispute.updated", "id": f"dp_{row['id']}{amount}",
            "payment_intent": row["reference"], "amount": amount, "status": status,
            "currency": self.currency.lower(),
        }  # fmt: skip

    def desk(self, who: str, pick: int, part: Decimal, more: Any) -> Any:
        """Stripe tells of a refund that somebody made there, by its id or as a sum."""
        row = self.one("Payment", who, more["line"], status="succeeded")
        if row is None:
            return None
        made = self.rows("Refund", payment=row["id"])
        given = sum((r["amount"] for r in made if r["status"] != "failed"), row["amount"] * 0)
        self.outside = True
        left = int((row["amount"] - given).amount / self.unit)
        amount = min(left, pick * 700)
        known = [id_ for r in made if r["outside"] for id_ in r["outside"]["ids"]]
        about = {"payment_intent": row["reference"], "currency": self.currency.lower()}
        if more["refund"]:
            return {"type": "Stripe.charge.refunded", "id": "ch_1", **about,
                    "amount_refunded": int(given.amount / self.unit) + amount}  # fmt: skip
        if more["prorate"] and known:
            held = next(r for r in made if r["outside"] and known[0] in r["outside"]["ids"])
            units = int(held["outside"]["ids"][known[0]].amount / self.unit)
            return {"type": "Stripe.refund.failed", "id": known[0], "amount": units,
                    "status": "failed", **about}  # fmt: skip
        return amount and {"type": "Stripe.refund.created", "id": f"re_{len(self.log)}", **about,
                           "amount": amount, "status": "succeeded"}  # fmt: skip

    def cards(self, who: str, pick: int, part: Decimal, more: Any) -> None:
        back = {"error": "expired_or_canceled_card"} if more["refund"] else {"status": "succeeded"}
        self.log.append(f"payments {'fail' if pick else 'succeed'}, refunds {back}")
        self.sandbox.answer("refund", None, back)
        if pick:
            self.sandbox.payments_fail("lost_card" if pick == 4 else "card_declined")
        else:
            self.sandbox.payments_succeed()

    def tick(self, who: str, pick: int, part: Decimal, more: Any) -> Any:
        return {"account": who}

    # --- in the end -----------------------------------------------------------------------------

    def end(self, order: Sequence[str], picks: Sequence[int]) -> None:
        """Gives back all that can be, each kind of it in its turn; `picks` says how each time."""
        pick = cycle(picks)
        for kind in order:
            for row in self.rows(kind):
                about = {kind.lower(): row["id"]}
                match kind, next(pick) % 4:
                    case "Subscription", n:
                        how = {"when": "now", "prorate": True, "refund": n % 2 == 0}
                        self.send("G.cancel", sub=row["id"], **how)
                    case "Invoice", 0:
                        self.send("G.void", **about)
                    case "Invoice", n:
                        self.send("G.note", **about, refund=n % 2 == 0)
                    case _:
                        self.send("G.refund", **about)
                self.check()

    # --- what always holds ----------------------------------------------------------------------

    def check(self) -> None:
        """All of it, of the state as it is."""
        reasons = [row["reason"] for row in self.engine.state.select("_dead", {})]
        assert not [r for r in reasons if "fit each other" in r or "Error" in r], reasons
        self.engine.commit()
        assert not (found := verify(self.engine.state.store, self.program)), found
        zero = Money(0, self.currency)
        given, used = defaultdict(lambda: zero), defaultdict(lambda: zero)
        billed: dict[str, Money] = defaultdict(lambda: zero)
        for note in self.rows("CreditNote"):
            assert note["total"] == note["amount"] + note["tax"] and note["total"] > zero, note
            given[note["invoice"]] += note["total"]
        paid = {row["id"]: row for row in self.rows("Payment")}
        for row in paid.values():
            back = row["refunded"] + (row["disputed"] or zero) + (row["charged_back"] or zero)
            assert zero <= row["refunded"] <= back <= row["amount"], row
            if row["invoice"] and row["status"] in ("succeeded", "refunded"):
                used[row["invoice"]] += row["amount"] - (row["charged_back"] or zero)
        for row in self.rows("PaymentDispute"):
            if row["invoice"]:  # it was won back after its invoice had been paid again
                used[row["invoice"]] -= row["booked"].get("credited", zero)
        for row in self.rows("Refund"):
            if row["status"] == "failed":
                continue
            if row["reason"] is None and paid[row["payment"]]["invoice"]:
                given[paid[row["payment"]]["invoice"]] += row["amount"]
        for row in self.rows("Invoice"):
            self.check_invoice(row, given[row["id"]], used[row["id"]])
            if row["status"] == "void":
                # What an end or a change gave back of it was of what was open on it.
                billed[row["customer"]] += row["returned"] or zero
            else:
                billed[row["customer"]] += row["total"] - given[row["id"]]
        assert self.outside or all(left >= zero for left in billed.values()), dict(billed)
        for wallet in self.rows("Wallet"):
            assert zero <= wallet["balance"] <= wallet["granted"], wallet

    def check_invoice(self, row: dict[str, Any], given: Money, paid: Money) -> None:
        """What is open, and what was given back of it by notes, refunds, and changes together."""
        zero = Money(0, self.currency)
        assert zero <= row["amount_open"] <= row["amount_due"], row
        lines = self.rows("InvoiceLine", invoice=row["id"])
        gross = [line["amount"] - line["discount"] + line["tax"] for line in lines]
        assert sum(gross, zero) == row["total"], row
        if row["status"] in ("void", "draft"):
            assert row["status"] == "draft" or not row["amount_open"], row
            return
        returned = row["returned"] or zero
        assert returned >= zero, row
        charged = sum((amount for amount in gross if amount > zero), zero)
        assert self.outside or given + returned <= charged, (row, given, returned, charged)
        assert row["amount_open"] + paid <= row["amount_due"], (row, paid)


MORE = st.fixed_dictionaries({
    "plan": st.sampled_from(PLANS), "coupon": st.sampled_from(COUPONS),
    "when": st.sampled_from(("now", "now", "period_end")), "prorate": st.booleans(),
    "invoice": st.sampled_from(("now", "next")), "refund": st.booleans(),
    "line": st.integers(0, 3),
})  # fmt: skip


def acts_of(*names: str) -> Any:
    """Acts of some kinds: after how many days, which, whose, of what, how much of it."""
    return st.tuples(
        st.sampled_from((0, 0, 0, 3, 10, 17, 31)),
        st.sampled_from(names),
        st.sampled_from("aaab"),
        st.integers(0, 4),
        st.sampled_from([Decimal(part) for part in ("0", "0.01", "0.33", "0.5", "0.9", "1")]),
        MORE,
    )


def lives_of(acts: Any) -> Any:
    """Lives of such acts."""
    return st.lists(acts, min_size=4, max_size=LONGEST)


ACTS = acts_of(
    "subscribe", "change", "change", "quantity", "addon", "usage", "note", "note", "refund",
    "void", "pay", "pay", "cards", "grant", "sell", "pause", "resume", "cancel", "coupon",
    "oneoff", "tick", "late",
)  # fmt: skip
# Fewer kinds, so that disputes meet each other, refunds and notes of the same payment.
BANKS = acts_of(
    "dispute", "dispute", "dispute", "decide", "decide", "decide", "charge", "sell", "oneoff",
    "refund", "note", "pay", "change", "cancel", "void", "cards", "grant", "usage",
)  # fmt: skip
PROCESSOR = acts_of(
    "bank", "bank", "bank", "desk", "desk", "dispute", "decide", "charge", "sell", "oneoff",
    "refund", "note", "pay", "change", "cancel", "cards", "usage",
)  # fmt: skip
KINDS = st.tuples(
    st.sampled_from(tuple(EXPONENTS)), st.sampled_from(("exclusive", "inclusive")),
    st.sampled_from(ENDS), st.sampled_from(OPTIONS),
)  # fmt: skip
# In which order all is given back that can be, and how.
IN_THE_END = st.tuples(
    st.permutations(("Subscription", "Invoice", "Payment")),
    st.lists(st.integers(0, 3), min_size=1, max_size=5),
)
LOST = ("proration by day", "lost_disputes reopen", "lost_disputes write_off, credit before_tax")
BANKS_KINDS = st.tuples(
    st.sampled_from(tuple(EXPONENTS)), st.sampled_from(("exclusive", "inclusive")),
    st.sampled_from(ENDS), st.sampled_from(LOST),
)  # fmt: skip


def live(kind: Any, plan: str, acts: Any, end: Any) -> None:
    """A life of two customers, checked after each act, and in the end."""
    shop = Shop(kind)
    for who, quantity in (("a", 2), ("b", 3)):
        shop.send("G.subscribe", account=who, plan=plan, quantity=quantity, coupon=None)
    shop.check()
    try:
        for act in acts:
            shop.act(*act)
        shop.end(*end)
    except Exception as problem:
        problem.add_note("\n".join([str(kind), *shop.log]))
        raise


TRIED = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=WIDE is None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)  # fmt: skip


@TRIED
@given(KINDS, st.sampled_from(PLANS), lives_of(ACTS), IN_THE_END)
def test_nothing_is_given_back_twice(kind: Any, plan: str, acts: Any, end: Any) -> None:
    live(kind, plan, acts, end)


@TRIED
@given(BANKS_KINDS, st.sampled_from(PLANS), lives_of(BANKS), IN_THE_END)
def test_nor_where_banks_take_payments_back(kind: Any, plan: str, acts: Any, end: Any) -> None:
    live(kind, plan, acts, end)


@TRIED
@given(BANKS_KINDS, st.sampled_from(PLANS), lives_of(PROCESSOR), IN_THE_END)
def test_nor_where_the_processor_tells_of_it(kind: Any, plan: str, acts: Any, end: Any) -> None:
    live(kind, plan, acts, end)


@pytest.mark.parametrize("by_whom", [False, True])
def test_a_state_that_kept_less_of_billed_usage_is_corrected_as_well(by_whom: bool) -> None:
    """Older states said what was charged of a part, and with which taxes, but not by whom; then by
    which invoice, but not by which of its lines."""
    shop = Shop(("USD", "exclusive", "suspend", "proration by day"))
    shop.send("G.subscribe", account="a", plan="large", quantity=1, coupon=None)
    shop.send("G.usage", account="a", units=100)
    shop.at += timedelta(days=35)
    shop.engine.advance(shop.at)
    for row in shop.engine.state.select("_usage", {"meter": "calls"}):
        [[values, quantity, amount, [[charged, taxes, invoice, _]]]] = row["billed"]
        kept = [[[charged, taxes, invoice]]] if by_whom else [charged, taxes]
        row = {**row, "billed": [[values, quantity, amount, *kept]]}
        shop.engine.state.put("_usage", row["id"], row)
    shop.late("a", 3, Decimal(0), {"refund": True})
    shop.at += timedelta(days=30)
    shop.engine.advance(shop.at)
    shop.check()
    [line] = [row for row in shop.rows("InvoiceLine") if row["kind"] == "correction"]
    assert str(line["amount"] + line["tax"]) == "-17.22 USD", line
