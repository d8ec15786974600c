"""All actions by name: what the engine calls, and nothing else here knows the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ..billing import catalog
from ..ir.estimates import forecast
from ..ir.program import Program
from ..model import Outcome
from ..values import Duration, show
from . import (
    addons,
    changes,
    corrections,
    coupons,
    credits,
    disputes,
    drafts,
    invoices,
    marketplace,
    movements,
    one_off,
    payments,
    prepaid,
    questions,
    received,
    renewals,
    settlement,
    subscriptions,
    told,
    trials,
)
from .arguments import taken
from .desk import Desk, Row
from .messages import message, refused_of
from .messages import outcome as message_outcome

Immediate = Callable[[Desk, dict[str, Any], object, Any], Any]
Sent = Callable[[Desk, dict[str, Any], object, Any, dict[str, Any] | None], Any]

# Done at once, in the state alone.
IMMEDIATE: Mapping[str, Immediate] = {
    "subscribe": subscriptions.subscribe,
    "change_plan": changes.change_plan,
    "set_quantity": changes.set_quantity,
    "set_trial": trials.set_trial,
    "add_addon": addons.add_addon,
    "remove_addon": addons.remove_addon,
    "bill_usage": renewals.bill_usage,
    "pause": subscriptions.pause,
    "resume": subscriptions.resume,
    "cancel": subscriptions.cancel,
    "apply_coupon": coupons.apply_coupon,
    "remove_coupon": coupons.remove_coupon,
    "invoice": one_off.invoice,
    "finalize_invoice": drafts.finalize_invoice,
    "send_invoice": invoices.send_invoice,
    "record_payment": received.record_payment,
    "void_invoice": invoices.void_invoice,
    "mark_uncollectible": settlement.mark_uncollectible,
    "credit": prepaid.credit,
    "expire_credit": prepaid.expire_credit,
    "credit_note": credits.credit_note,
    "open_dispute": disputes.open_dispute,
    "close_dispute": disputes.close_dispute,
    "hold": marketplace.hold,
    "release": marketplace.release,
}

# Done by a provider, with a row of their own here.
SENT: Mapping[str, Sent] = {"charge": payments.charge, "refund": payments.refund}


def _joins(work: Desk, name: str, data: Mapping[str, Any]) -> bool:
    """Whether what an action does stands on the first invoice of what begins in this step."""
    match name:
        case "add_addon":
            return addons.begins_now(work, data["subscription"])
        case "invoice":
            return data.get("when") == "next"
    return name == "subscribe"


class Toolbox:
    """What the engine needs of actions; see `runtime.engine.Actions`. `services` are those that
    tell of disputes and refunds by events of their own."""

    def __init__(self, services: told.Services | None = None) -> None:
        self._services = services or told.Silent()

    def perform(
        self,
        work: Desk,
        name: str,
        target: Any,
        data: dict[str, Any],
        site: object,
        place: Any,
        resume: dict[str, Any] | None,
    ) -> tuple[Any, bool]:
        """Does an action; its result, and whether the outcome of an effect is still to come."""
        data = taken(work, name, data)
        if work.begun and not _joins(work, name, data):
            subscriptions.finish(work)
        if (immediate := IMMEDIATE.get(name)) is not None:
            return immediate(work, data, site, place), False
        if (sent := SENT.get(name)) is not None:
            made = sent(work, data, site, place, resume)
            return made, not (name == "refund" and payments.is_outside(work, data["payment"]))
        match name:
            case "pay_invoice":
                return settlement.pay_invoice(work, data, site, place, resume)
            case "transfer":
                marketplace.transfer(work, data, site, place, resume)
                return None, True
            case "record_usage":
                at = data.get("at") or work.now
                by = {name: show(value) for name, value in (data.get("by") or {}).items()}
                work.count(data["meter"], data["customer"], data["quantity"], at, site, by)
                return data["quantity"], False
            case "forecast":
                return forecast(data["series"], data["months"]), False
        message(work, name, target, data, site, place, resume)
        return None, True

    def finish(self, work: Desk) -> None:
        """Invoices the subscriptions that have begun in a step."""
        subscriptions.finish(work)

    def finish_later(self, work: Desk) -> None:
        """The same, tried the day after: it has failed now."""
        subscriptions.finish_later(work)

    def follows(self, kind: str, outcome: Outcome) -> bool:
        """Whether anything follows from an outcome that no handler waits for."""
        told = kind == "email" and bool(refused_of(outcome))
        return kind in ("charge", "refund", "transfer") or outcome.status != "succeeded" or told

    def outcome(self, work: Desk, effect: Row, outcome: Outcome) -> Any:
        """What the outcome of an effect changes; what a waiting handler gets."""
        match effect["kind"]:
            case "charge":
                payment = settlement.charge_outcome(work, effect, outcome)
                disputes.answered(work, payment, outcome)
                return payment
            case "refund":
                return payments.refund_outcome(work, effect, outcome)
            case "transfer":
                return marketplace.transfer_outcome(work, effect, outcome)
        return message_outcome(work, effect, outcome)

    def due(self, work: Desk, task: dict[str, Any]) -> None:
        """A timer of billing."""
        match task["what"]:
            case "begin":
                subscriptions.begin_due(work, task["subs"])
            case "notice":
                subscriptions.notice(work, task["sub"])
            case "renew":
                renewals.due(work, task["sub"])
            case "usage":
                renewals.usage_due(work, task["sub"])
            case "tail":
                renewals.tail_due(work, task["sub"])
            case "version":
                changes.version_due(work, task["sub"])
            case "draft":
                renewals.draft_due(work, task["invoice"])
            case "retry":
                settlement.retry(work, task["invoice"])
            case "grace":
                settlement.grace_over(work, task)
            case "overdue":
                invoices.overdue(work, task["invoice"])
            case "told":
                told.take(work, self._services.told(task["type"], task["data"]))

    def tells(self, type_: str) -> bool:
        """Whether a service tells by events of a type what moves money here."""
        return self._services.tells(type_)

    def questions(self) -> Mapping[str, Callable[..., Any]]:
        """Built-in functions that read state."""
        return questions.QUESTIONS

    def usage_start(
        self, work: Desk, customer: str, at: datetime, meter: str | None = None
    ) -> datetime:
        """Where the usage period of a customer begins."""
        return questions.usage_start(work, customer, at, meter)

    def watches(self, program: Program, meter: str) -> bool:
        """Whether a meter's usage may be billed as soon as it reaches an amount."""
        return any(
            not plan.addon and catalog.bills_at_an_amount(plan) for plan in program.offers()
        ) and any(
            price.meter == meter for plan in program.offers() for price in catalog.every_usage(plan)
        )

    def counted(
        self, work: Desk, meter: str, customer: str, at: datetime, replaced: bool = False,
        place: int | None = None,
    ) -> None:  # fmt: skip
        """What follows from a late count, or from one of a meter that is watched; of one that is
        taken back to be `replaced` nothing is billed."""
        if at < work.now or place is not None:
            corrections.counted_late(work, meter, customer, at, place)
        # It may be of a running period too: of another subscription, or of the plan's beside an
        # add-on that is gone.
        if self.watches(work.program, meter) and not replaced:
            renewals.threshold(work, meter, customer)

    def follow(self, work: Desk, key: str, status: str) -> None:
        """An arrow of the author's own lifecycle moves a subscription."""
        subscriptions.follow(work, key, status)

    def moved(self, work: Desk, old: Row | None, row: Row | None) -> None:
        """Keeps what a changed subscription means for the recurring revenue."""
        movements.moved(work, old, row)

    def usage_periods(
        self, work: Desk, customer: str, at: datetime, meter: str, place: int | None = None
    ) -> tuple[tuple[datetime, datetime | None], ...]:
        """The usage periods of a customer that a count belongs to, that of `at` the last."""
        return questions.usage_periods(work, customer, at, meter, place)

    def period_start(self, work: Desk, customer: str, at: datetime) -> datetime:
        """Where the billing period of a customer begins."""
        return questions.period_start(work, customer, at)

    def plan_fields(self, program: Program, name: Any) -> Mapping[str, Any] | None:
        """What an author reads of a plan."""
        plan = program.plans.get(name) or program.addons.get(name)
        if plan is None:
            return None
        from ..billing.rating import fixed_amount

        price = plan.prices[0] if plan.prices else None
        trial: Duration | None = plan.trial
        return {
            "name": plan.name, "title": plan.title,
            "price": fixed_amount(price).amount if price else None,
            "interval": str(price.interval) if price and price.interval else None,
            "features": list(plan.features), "limits": dict(plan.limits), "trial": trial,
            **plan.data,
        }  # fmt: skip
