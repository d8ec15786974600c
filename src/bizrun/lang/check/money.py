"""Coupons, taxes and dunning."""

from __future__ import annotations

from ...diagnostics import Label, did_you_mean
from ...values import Duration, Percent
from .. import ast
from ..build_money import ENDINGS
from ..std import in_std
from .facts import Facts, listed, negative, positive

WHOLE = Percent(1)
TAX_PROVIDERS = ("stripe",)
FINAL = ("cancel", "mark_uncollectible")


def check_money(facts: Facts) -> None:
    """Checks what takes something off an invoice, puts something on it, or collects it."""
    for coupon in facts.all(ast.Coupon):
        _check_coupon(coupon, facts)
    for tax in facts.all(ast.Tax):
        _check_tax(tax, facts)
    _check_policies(facts)
    for dunning in facts.all(ast.Dunning):
        _check_dunning(dunning, facts)


def _check_coupon(coupon: ast.Coupon, facts: Facts) -> None:
    off = facts.fold(coupon.off)
    if off and off.type in ("money", "percent") and not positive(off):
        facts.report.add("E0651", coupon.off.span, "This coupon takes nothing off")
    elif off and off.type == "percent" and off.value > WHOLE:
        facts.report.add("E0651", coupon.off.span, f"{off.value} off is more than all of it")
    _check_duration(coupon, facts)
    times = facts.fold(coupon.times)
    if times and times.type == "number" and not (isinstance(times.value, int) and positive(times)):
        text = "`at most … times` needs a whole number above 0"
        facts.report.add("E0652", times.span, text)
    symbols = facts.symbols
    sold = {**symbols.plans, **symbols.addons, **symbols.meters}
    for name, span in coupon.only:
        if name not in sold:
            text = f"There is no plan, add-on or meter `{name}`"
            facts.unknown("E0618", span, text, name, sold, "there are")


def _check_duration(coupon: ast.Coupon, facts: Facts) -> None:
    value = facts.fold(coupon.duration)
    if value is None or value.type != "duration":
        return
    length: Duration = value.value
    if length.days or length.micros or not positive(value):
        text = "A coupon holds for a number of months, like `for 3 months`"
        facts.report.add("E0652", value.span, text)
    if coupon.once:
        text = "A coupon is `once` or `for` a time, not both"
        facts.report.add("E0652", coupon.name_span, text)


def _check_tax(tax: ast.Tax, facts: Facts) -> None:
    if tax.provider is not None:
        if tax.provider not in TAX_PROVIDERS:
            text = f"`{tax.provider}` computes no taxes"
            facts.report.add(
                "E0654", tax.span, text, help=f"tax providers: {listed(TAX_PROVIDERS)}"
            )
        return
    rate = facts.fold(tax.rate)
    if tax.rate is None or rate is None:
        return
    if rate.type != "percent":
        return
    if negative(rate):
        facts.report.add("E0653", tax.rate.span, "A tax is 0% or more")
    elif rate.value > WHOLE:
        text = f"A tax of {rate.value} is more than the price itself"
        facts.report.add("E0653", tax.rate.span, text)


# --- dunning -----------------------------------------------------------------------------------


def _check_policies(facts: Facts) -> None:
    """Warns of dunnings beside the first one where the business names none: they do nothing."""
    business = facts.symbols.business
    named = business and any(setting.key == "dunning" for setting in business.settings)
    mine = [node for node in facts.all(ast.Dunning) if not in_std(node.span.file)]
    for other in () if named else mine[1:]:
        text = f"Only the first dunning holds, `{mine[0].name}`"
        hint = f"choose by `business … {{ dunning {other.name} }}`"
        facts.warn("W0612", other.name_span, text, help=hint)


def _check_dunning(dunning: ast.Dunning, facts: Facts) -> None:
    retry: ast.DunningStep | None = None
    ended: ast.DunningStep | None = None
    for step in dunning.steps:
        if step.action and step.action.startswith("retr"):
            text = f"`{step.action}` begins no line of a dunning"
            facts.report.add("E0658", step.span, text, help="did you mean `retry`?")
            return
        labels = (Label(ended.span, "the end"),) if ended else ()
        if ended and not _adds(step, ended):
            text = "This step stands after the end and is never reached"
            facts.report.add("E0656", step.span, text, labels=labels)
        if step.kind.startswith("retry"):
            if retry:
                text = "There are two retry lines"
                labels = (Label(retry.span, "the first one"),)
                facts.report.add("E0656", step.span, text, labels=labels)
            retry = retry or step
            _check_retries(step, facts)
        else:
            _check_ending(step, facts)
            if step.kind == "grace" or step.action in FINAL:
                ended = step if ended is None or step.kind == "grace" else ended
    if retry is None and not facts.damaged(dunning):
        text = f"Dunning `{dunning.name}` never tries again"
        hint = "add `retry after 3 days, 7 days, 14 days`"
        facts.report.add("E0655", dunning.name_span, text, help=hint)


def _adds(step: ast.DunningStep, ended: ast.DunningStep) -> bool:
    """Whether a grace step still does something: of invoice and subscription each ends once."""
    if step.kind != "grace" or ended.kind == "grace":
        return False
    return step.action != ended.action and (ended.action, step.action) != ("cancel", "suspend")


def _check_retries(step: ast.DunningStep, facts: Facts) -> None:
    before: ast.Literal | None = None
    for delay in step.delays:
        value = facts.fold(delay)
        if value is None:
            continue
        if value.type != "duration" or not positive(value):
            hint = f"write its unit: `{value.value} days`" if value.type == "number" else None
            text = "A delay is a duration like `3 days`"
            facts.report.add("E0657", delay.span, text, help=hint)
            return  # Those behind it lack the same.
        if before and step.kind == "retry_after" and _length(value) <= _length(before):
            text = f"The retry after {value.value} does not come later than the one before it"
            hint = "delays are counted from the first failure, so they rise"
            labels = (Label(before.span, "the retry before"),)
            facts.report.add("E0657", delay.span, text, help=hint, labels=labels)
        before = value
    if step.times is not None and step.times < 1:
        facts.report.add("E0657", step.span, "A payment is tried again at least once")


def _length(value: ast.Literal) -> tuple[int, int]:
    """Good enough to order delays: 30 days a month."""
    length: Duration = value.value
    return (length.months * 30 + length.days + length.micros // 86_400_000_000, length.micros)


def _check_ending(step: ast.DunningStep, facts: Facts) -> None:
    if step.action is not None and step.action not in ENDINGS:
        near = did_you_mean(step.action, ENDINGS)
        hint = f"did you mean `{near}`?" if near else f"endings: {listed(ENDINGS)}"
        text = f"Dunning can't end with `{step.action}`"
        facts.report.add("E0658", step.span, text, help=hint)
    for delay in step.delays:
        value = facts.fold(delay)
        if value and (value.type != "duration" or not positive(value)):
            facts.report.add("E0657", delay.span, "A grace period is a duration like `7 days`")
