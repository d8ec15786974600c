"""Events that are declared, made by a trigger or sent, and that nothing listens to."""

from __future__ import annotations

from ...diagnostics import Span
from .. import ast
from .events import matches
from .facts import Facts


def check_event_use(facts: Facts) -> None:
    """Warns of declared events that nothing handles, meters, waits for or sends on."""
    heard = _listened(facts)
    wild = {pattern for pattern in heard if "*" in pattern}
    sent = {emit.event for emit, in_test in facts.emits if not in_test}
    for event in facts.all(ast.EventDecl):
        if event.name not in sent and event.name not in heard:
            _check_heard(event.name, event.name_span, "W0710", wild, facts)
    for trigger in facts.all(ast.Trigger):
        if trigger.event not in heard:
            _check_heard(trigger.event, trigger.name_span, "W0711", wild, facts)


def _listened(facts: Facts) -> set[str]:
    patterns = {name for pattern in facts.patterns for name, _ in pattern.types}
    for meter in facts.all(ast.Meter):
        patterns |= {name for name, _ in meter.events}
    return patterns


def _check_heard(name: str, span: Span, code: str, wild: set[str], facts: Facts) -> None:
    if any(matches(pattern, name) for pattern in wild) or facts.lost(name):
        return
    what = "Nothing handles, meters or waits for the event"
    hint = f"add `on {name} as e {{ … }}`"
    if code == "W0711":
        what = "Nothing handles what this trigger emits:"
    facts.warn(code, span, f"{what} `{name}`", help=hint)
