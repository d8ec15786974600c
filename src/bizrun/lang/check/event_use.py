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
    _check_patterns(facts, sent)
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


def _check_patterns(facts: Facts, sent: set[str]) -> None:
    """Warns of a wildcard that fits no event, and nearly one: others may come from outside."""
    events = {*facts.symbols.events, *sent}
    nouns = {*facts.symbols.entities, *(name.partition(".")[0] for name in events)}
    verbs = {name.rpartition(".")[2] for name in events} | {"created", "updated", "deleted"}
    for name, span in (found for pattern in facts.patterns for found in pattern.types):
        noun, _, verb = name.rpartition(".")
        if verb == "*" and noun not in nouns and "." not in noun:
            known = [f"{one}.*" for one in nouns]
        elif noun == "*" and verb not in verbs and not verb.endswith("_changed"):
            known = [f"*.{one}" for one in verbs]
        else:
            continue
        if nearest(name, known)[0] is not None:
            facts.unknown("W0201", span, f"No event is like `{name}`", name, known)


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
