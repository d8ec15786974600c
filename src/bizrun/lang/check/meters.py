"""Meters: the events that they count, the field, the customer and the dimensions."""

from __future__ import annotations

from ...diagnostics import Label, Span, did_you_mean
from ...values import SIZE_UNITS
from .. import ast
from ..symbols import EventInfo, Symbols
from ..types import (
    DURATION,
    INTEGER,
    MONEY,
    NUMBER,
    SIZE,
    AnyType,
    EntityType,
    Type,
    known,
    type_text,
)
from .context import nearest
from .facts import Facts, is_declared, listed

NUMERIC = (NUMBER, INTEGER, MONEY, SIZE, DURATION)


def _of_event(meter: ast.Meter, facts: Facts) -> str | None:
    """How a meter is written that names its field behind its event."""
    for name, _ in meter.events:
        event, _, field = name.rpartition(".")
        if event in facts.symbols.events:
            return f"write `{meter.aggregate} {field} of {event}`"
    return None


def check_meters(facts: Facts) -> None:
    """Checks each meter against the payload of each of its events."""
    for meter in facts.all(ast.Meter):
        if meter.aggregate != "count" and meter.field is None:
            text = f"`{meter.aggregate}` needs a field: `{meter.aggregate} units of E`"
            facts.report.add("E0645", meter.name_span, text, help=_of_event(meter, facts))
        _check_unit(meter, facts)
        for name, span in meter.events:
            info = facts.symbols.events.get(name)
            if info is None or not is_declared(name, facts.symbols):
                _report_event(name, span, facts)
            else:
                _check_event(meter, info, facts)


def _check_unit(meter: ast.Meter, facts: Facts) -> None:
    """A size is rated in a unit of size; for other quantities a unit is only a word."""
    unit = meter.unit
    if unit is None or unit in SIZE_UNITS:
        return
    near = did_you_mean(unit, SIZE_UNITS) if len(unit) > 1 else None
    if near or figure_type(facts.symbols, meter) == SIZE:
        text = f"There is no unit of size `{unit}`"
        hint = f"did you mean `{near}`?" if near else f"units: {listed(SIZE_UNITS)}"
        facts.report.add("E0647", meter.unit_span or meter.name_span, text, help=hint)


def figure_type(symbols: Symbols, meter: ast.Meter) -> Type:
    """What a meter's figure is: a size, money, or a plain number."""
    if meter.unit in SIZE_UNITS:
        return SIZE
    if meter.aggregate in ("count", "unique") or meter.field is None:
        return NUMBER
    events = [symbols.events.get(event) for event, _ in meter.events]
    type_ = events[0].payload.field(meter.field) if events and events[0] else None
    found = known(type_) if type_ is not None else NUMBER
    return found if found in (MONEY, SIZE) else NUMBER


def is_dimension(name: str, meter: ast.Meter, symbols: Symbols) -> bool:
    """Whether the events that a meter counts have a field to count by, as far as is known."""
    events = [symbols.events.get(event) for event, _ in meter.events]
    payloads = [event.payload for event in events if event is not None]
    return all(payload.open or payload.field(name) is not None for payload in payloads)


def _report_event(name: str, span: Span, facts: Facts) -> None:
    declared = [event for event in facts.symbols.events if is_declared(event, facts.symbols)]
    if nearest(name, declared)[0]:
        facts.unknown("E0640", span, f"There is no event `{name}`", name, declared)
    else:
        text = f"The event `{name}` is not declared, so nothing says that it has these fields"
        facts.warn("W0640", span, text, help=f"declare `event {name} {{ … }}`")


def _check_event(meter: ast.Meter, info: EventInfo, facts: Facts) -> None:
    if meter.field is not None:
        _check_field(meter, info, facts)
    for name, span in meter.by:
        if info.payload.field(name) is not None or info.payload.open:
            continue
        if info.name == "Usage.recorded":
            text = "What `record_usage` counts on a meter of `Usage.recorded` has no dimensions"
            hint = f"declare an event with `{name}`, and `emit` it: it is counted like any other"
            facts.report.add("E0644", span, text, help=hint)
        else:
            _report_missing("E0644", name, span, info, facts)
    bills = facts.symbols.bills
    if bills is None:
        if _names_customer(facts) or meter is not next(iter(facts.all(ast.Meter))):
            return  # it is said once
        text = "A meter counts by customer, and the business does not say who that is"
        hint = "add `bills Account` to the business block, with your entity"
        facts.report.add("E0646", meter.name_span, text, help=hint)
        return
    if meter.per is None:
        fields = [name for name, type_ in info.payload.fields if known(type_) == EntityType(bills)]
        if len(fields) != 1 and not info.payload.open:
            text = f"Nothing says which {bills} an event `{info.name}` counts for"
            facts.report.add("E0643", meter.name_span, text, help="add `per` and a field")
        return
    type_ = info.payload.field(meter.per)
    span = meter.per_span or meter.name_span
    if type_ is None:
        if not info.payload.open:
            _report_missing("E0643", meter.per, span, info, facts)
    elif known(type_) != EntityType(bills) and not isinstance(known(type_), AnyType):
        text = f"`per` names the field with the {bills}; `{meter.per}` is {type_text(type_)}"
        facts.report.add("E0643", span, text, labels=_declared(info, meter.per))


def _names_customer(facts: Facts) -> bool:
    """Whether the business tries to say who pays, which is told to be wrong."""
    settings = (setting for node in facts.all(ast.Business) for setting in node.settings)
    return any(did_you_mean(setting.key, ("bills",)) for setting in settings)


def _check_field(meter: ast.Meter, info: EventInfo, facts: Facts) -> None:
    assert meter.field is not None
    span = meter.field_span or meter.name_span
    type_ = info.payload.field(meter.field)
    if type_ is None:
        if not info.payload.open:
            _report_missing("E0641", meter.field, span, info, facts)
        return
    numeric = known(type_) in NUMERIC or isinstance(known(type_), AnyType)
    if meter.aggregate != "unique" and not numeric:
        text = f"`{meter.aggregate}` needs a number; `{meter.field}` is {type_text(type_)}"
        hint = f"`unique {meter.field}` counts how many different ones there are"
        facts.report.add("E0642", span, text, help=hint, labels=_declared(info, meter.field))


def _declared(info: EventInfo, name: str) -> tuple[Label, ...]:
    fields = info.decl.fields if info.decl else ()
    return tuple(Label(field.span, "declared here") for field in fields if field.name == name)


def _report_missing(code: str, name: str, span: Span, info: EventInfo, facts: Facts) -> None:
    fields = [field for field, _ in info.payload.fields]
    text = f"The event `{info.name}` has no field `{name}`"
    facts.unknown(code, span, text, name, fields, "fields")
