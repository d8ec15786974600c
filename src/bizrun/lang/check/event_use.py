"""Events that are declared, made by a trigger or sent, and that nothing listens to."""

from __future__ import annotations

from ...diagnostics import Span
from .. import ast
from .context import nearest
from .events import matches
from .facts import Facts, is_declared


def check_event_use(facts: Facts) -> None:
    """Warns of declared events that nothing handles, meters, waits for or sends on."""
    heard = _listened(facts)
    wild = {pattern for pattern in heard if "*" in pattern}
    sent = {emit.event for emit, in_test in facts.emits if not in_test}
    _check_sent(heard, wild, facts)
    for event in facts.all(ast.EventDecl):
        if event.name not in sent and event.name not in heard:
            _check_heard(event.name, event.name_span, "W0710", wild, facts)
    for trigger in facts.all(ast.Trigger):
        if trigger.event not in heard:
            _check_heard(trigger.event, trigger.name_span, "W0711", wild, facts)


def _check_sent(heard: set[str], wild: set[str], facts: Facts) -> None:
    """Warns of what is sent, declared by nobody and heard by nobody: a slip, or a loose end."""
    declared = [name for name, info in facts.symbols.events.items() if info.declared]
    for emit, _ in facts.emits:
        if emit.event in heard or is_declared(emit.event, facts.symbols):
            continue
        if nearest(emit.event, declared)[0] is None:
            _check_heard(emit.event, emit.event_span, "W0710", wild, facts)
        elif not facts.lost(emit.event):
            text = f"Event `{emit.event}` is not declared, and nothing listens to it"
            facts.unknown("W0201", emit.event_span, text, emit.event, declared)


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
