"""What somebody misses (`email to ada@example.com template welcome`), and who in a spec does it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..diagnostics import did_you_mean
from ..errors import BizError, UsageError
from ..ir import nodes as ir
from ..ir.program import Program
from ..runtime.waits import fits
from ..store.base import Row, Store
from ..values import Money, money, show

# What is said of a thing, rather than whom it is for.
_ABOUT = frozenset((
    "template", "subject", "body", "amount", "status", "description", "text", "message", "channel",
    "url", "when", "plan", "coupon", "currency", "quantity", "method", "reason",
))  # fmt: skip
_OF_CUSTOMERS = ("charge", "refund", "invoice")
_WORDS = {"for": "customer", "of": "customer"}
_AMOUNT = re.compile(r"-?\d[\d_]*(?:\.\d+)?\s[A-Z]{3}\b")
# A text in quotes, an amount with its currency, or whatever has no blank in it.
_TOKEN = re.compile(
    rf"""\s*(?:"([^"]*)"|'([^']*)'|({_AMOUNT.pattern}|"""
    r"""[^\s"',:={}]+(?::(?=\S)[^\s"',={}]+)*))[\s,:={}]*"""
)
_FORM = "bizrun why --not 'email to ada@example.com template welcome'"
# The actions by which a handler brings about an event of billing.
_BRINGS = {
    "Subscription.created": ("subscribe",), "Subscription.cancelled": ("cancel",),
    "Subscription.paused": ("pause",), "Subscription.resumed": ("resume",),
    "Subscription.plan_changed": ("change_plan",), "Invoice.created": ("invoice", "subscribe"),
    "Invoice.sent": ("send_invoice", "invoice"), "Invoice.paid": ("pay_invoice",),
    "Invoice.voided": ("void_invoice",), "Refund.succeeded": ("refund",),
    "Payment.succeeded": ("charge", "pay_invoice"), "Payment.failed": ("charge", "pay_invoice"),
    "Usage.recorded": ("record_usage",), "Payment.disputed": ("open_dispute",),
    "Payment.dispute_won": ("close_dispute",), "Payment.dispute_lost": ("close_dispute",),
}  # fmt: skip
SENT = ("email", "charge", "refund", "transfer", "notify", "slack", "webhook", "http", "invoice")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A kind of thing and the fields that it should have, as written.

    kind: an action (`email`, `charge`, `shippo.post`); with `event` an event's type; with `entity`
    an entity, whose `key` changes.
    """

    kind: str
    fields: Mapping[str, str]
    event: bool = False
    entity: bool = False
    key: str | None = None

    @property
    def who(self) -> tuple[str, ...]:
        """The values that say whom it concerns."""
        found = [value for name, value in self.fields.items() if name not in _ABOUT]
        return (self.key,) if self.key is not None else tuple(found)

    def __str__(self) -> str:
        head = f"event {self.kind}" if self.event else self.kind
        words = {"customer": "for"}
        fields = ", ".join(f"{words.get(k, k)} {value}" for k, value in self.fields.items())
        return " ".join(part for part in (head, self.key, fields) if part)


def read_wanted(text: str, program: Program) -> Wanted:
    """What a text asks for; UsageError with an example where it can't be read."""
    words = [a or b or c for a, b, c in _TOKEN.findall(text)]
    if not words:
        raise UsageError(f"Say what is missing: {_FORM}")
    kind, *rest = words
    if kind == "event" and rest:
        kind, *rest = rest
        return Wanted(_event(kind, program), _pairs(kind, rest), event=True)
    if kind in program.entities:
        key, *rest = rest or [""]
        if not key:
            raise UsageError(f"Say which {kind}: bizrun why --not '{kind} ID status active'")
        return Wanted(kind, _pairs(kind, rest), entity=True, key=key)
    if kind[:1].isupper():
        return Wanted(_event(kind, program), _pairs(kind, rest), event=True)
    actions = ir.ActStep | ir.AwaitAction
    used = (step.action for _, step in all_steps(program) if isinstance(step, actions))
    known = sorted({*SENT, *used})
    if kind not in known:
        near = did_you_mean(kind, known)
        hint = f" Did you mean `{near}`?" if near else f" An example: {_FORM}"
        raise UsageError(f"Nothing here is called `{kind}`: no action, event or entity.{hint}")
    return Wanted(kind, _pairs(kind, rest))


def _event(name: str, program: Program) -> str:
    known = {*program.events, *(trigger.event for trigger in program.triggers)}
    known |= {step.event for _, step in all_steps(program) if isinstance(step, ir.EmitStep)}
    changed = r"(\w+)\.(created|deleted|\w+_changed)"
    made = re.fullmatch(changed, name)
    if name in known or (made and made[1] in program.entities):
        return name
    near = did_you_mean(name, known)
    raise UsageError(f"There is no event {name}." + (f" Did you mean {near}?" if near else ""))


def _pairs(kind: str, words: list[str]) -> dict[str, str]:
    if len(words) % 2:
        raise UsageError(
            f"After what is missing, a field's name and its value follow in turn; "
            f"`{words[-1]}` stands alone: {_FORM}"
        )
    pairs = zip(words[::2], words[1::2], strict=True)
    return {_field(kind, name, value): value for name, value in pairs}


def _field(kind: str, name: str, value: str) -> str:
    """The field that a word stands for: a charge of somebody, to somebody, of 5 EUR."""
    if name == "of" and _AMOUNT.fullmatch(value):
        return "amount"
    if name == "to" and kind in _OF_CUSTOMERS:
        return "customer"
    return _WORDS.get(name, name)


def has(fields: Mapping[str, Any], wanted: Wanted) -> bool:
    """Whether a thing's fields are those that are wanted."""
    return all(said(fields.get(name), value) for name, value in wanted.fields.items())


def said(value: Any, text: str) -> bool:
    """Whether a value is what somebody wrote."""
    if isinstance(value, Mapping):
        return any(said(value[name], text) for name in ("$key", "id") if name in value)
    if isinstance(value, list | tuple):
        return any(said(item, text) for item in value)
    if value is None:
        return text == "none"
    if str(show(value)) == text:
        return True
    if not isinstance(value, Money):
        return False
    try:
        return value == (money(text) if " " in text else money(f"{text} {value.currency}"))
    except (BizError, ValueError):
        return False


# --- who does it -------------------------------------------------------------------------------


def all_handlers(program: Program) -> Iterator[ir.Handler]:
    """Handlers, schedules and routes."""
    yield from program.handlers
    yield from (schedule.handler for schedule in program.schedules)
    yield from (api.handler for api in program.apis)


def all_steps(program: Program) -> Iterator[tuple[ir.Handler, ir.Step]]:
    """Every step of every handler, those of branches too."""
    for handler in all_handlers(program):
        for segment in handler.segments:
            for step in steps_of(segment.steps):
                yield handler, step


def steps_of(steps: Iterable[ir.Step]) -> Iterator[ir.Step]:
    """Steps and those within their branches."""
    for step in steps:
        yield step
        match step:
            case ir.IfStep(then=then, otherwise=otherwise):
                yield from steps_of((*then, *otherwise))
            case ir.MatchStep(cases=cases, otherwise=otherwise):
                yield from steps_of(inner for _, branch in cases for inner in branch)
                yield from steps_of(otherwise)


def sites(program: Program, wanted: Wanted) -> list[tuple[ir.Handler, ir.Step]]:
    """The steps of a spec that may do what is wanted."""
    return [(handler, step) for handler, step in all_steps(program) if _does(step, wanted)]


def _does(step: ir.Step, wanted: Wanted) -> bool:
    match step:
        case ir.ActStep(action=action, data=data) | ir.AwaitAction(action=action, data=data):
            if wanted.event:
                return action in _BRINGS.get(wanted.kind, ())
            return action == wanted.kind and _agrees(data, wanted) and _by_template(data, wanted)
        case ir.EmitStep(event=event):
            return wanted.event and fits(wanted.kind, event)
        case ir.CreateStep(entity=entity, data=data):
            made = wanted.event and wanted.kind == f"{entity}.created"
            return made or _changes(entity, data, wanted)
        case ir.UpdateStep(entity=entity, data=data):
            return _changes(entity, data, wanted)
        case ir.DeleteStep(entity=entity):
            return wanted.event and wanted.kind == f"{entity}.deleted"
    return False


def _changes(entity: str, data: ir.MapExpr, wanted: Wanted) -> bool:
    names = {entry.name for entry in data.entries if isinstance(entry, ir.Pair)}
    spreads = [entry for entry in data.entries if isinstance(entry, ir.SpreadExpr)]
    names |= {name for entry in spreads for name in entry.names or ()}
    spread = any(entry.names is None for entry in spreads)
    if wanted.event:
        field = wanted.kind.removeprefix(f"{entity}.").removesuffix("_changed")
        return wanted.kind == f"{entity}.{field}_changed" and (spread or field in names)
    fields = set(wanted.fields)
    fitting = spread or bool(fields & names) or not fields
    return wanted.entity and entity == wanted.kind and fitting and _agrees(data, wanted)


def _agrees(data: ir.MapExpr, wanted: Wanted) -> bool:
    """Whether nothing that is written as a constant differs from what is wanted."""
    for entry in data.entries:
        if isinstance(entry, ir.Pair) and isinstance(entry.value, ir.Const):
            asked = wanted.fields.get(entry.name)
            if asked is not None and not said(entry.value.value, asked):
                return False
    return True


def _by_template(data: ir.MapExpr, wanted: Wanted) -> bool:
    """Whether a message may be of the template that is wanted: one without says its own words."""
    names = {entry.name for entry in data.entries if isinstance(entry, ir.Pair)}
    open_ = any(isinstance(entry, ir.SpreadExpr) for entry in data.entries)
    if open_ or wanted.kind != "email":
        return True
    if "template" in wanted.fields:
        return "template" in names
    return not wanted.fields.keys() & {"subject", "body"} or "template" not in names


# --- whom it concerns --------------------------------------------------------------------------


def people(store: Store, program: Program, values: Iterable[str]) -> dict[str, set[str]]:
    """The keys of rows that have one of these values, by entity, and the customers behind them."""
    asked = set(values)
    found: dict[str, set[str]] = {}
    for entity in program.entities.values():
        if entity.builtin or not asked:
            continue
        for row in store.select(entity.name):
            if any(isinstance(value, str) and value in asked for value in row.values()):
                found.setdefault(entity.name, set()).add(str(row[entity.key]))
                _customer(row, entity.references, program.bills, found)
    return found


def _customer(
    row: Row, references: Mapping[str, str], bills: str | None, found: dict[str, set[str]]
) -> None:
    for name, target in references.items():
        if target == bills and isinstance(row[name], str):
            found.setdefault(target, set()).add(row[name])


def mentions(value: Any, names: frozenset[str]) -> bool:
    """Whether one of these stands anywhere in a value."""
    match value:
        case str():
            return value in names
        case Mapping():
            return any(mentions(item, names) for item in value.values())
        case list() | tuple():
            return any(mentions(item, names) for item in value)
    return False
