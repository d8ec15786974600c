"""Handlers that emit in a circle with nothing on it that could ever end it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ...diagnostics import Label
from .. import ast
from ..walk import walk_code
from .events import matches
from .facts import Facts, entries, negative, positive


def check_cycles(facts: Facts) -> None:
    """Reports each circle of unconditional emits once, at its first handler.

    What stands under a condition, in a loop, or behind a wait may end the circle or give it
    time; only what every run of the handler sends at once is counted.
    """
    handlers = [h for h in facts.all(ast.On) if h.pattern.where is None]
    listeners = Listeners()
    for handler in handlers:
        for pattern, _ in handler.pattern.types:
            listeners.add(pattern, handler)
    after: dict[ast.On, list[tuple[ast.On, ast.Node, str]]] = {
        handler: [
            (other, node, event)
            for event, node in _sent(handler.body, facts)
            for other in listeners.of(event)
        ]
        for handler in handlers
    }
    reported: set[ast.On] = set()
    for handler in handlers:
        circle = _circle(handler, after)
        if circle and not reported & {step[0] for step in circle}:
            reported |= {step[0] for step in circle} | {handler}
            _report(handler, circle, facts)


@dataclass(slots=True)
class Listeners:
    """Who listens to which event: by its type, or by a pattern with a wildcard."""

    exact: dict[str, list[ast.On]] = field(default_factory=dict)
    wild: list[tuple[str, ast.On]] = field(default_factory=list)

    def add(self, pattern: str, handler: ast.On) -> None:
        """Takes up a handler."""
        if "*" in pattern:
            self.wild.append((pattern, handler))
        else:
            self.exact.setdefault(pattern, []).append(handler)

    def of(self, event: str) -> list[ast.On]:
        """The handlers of an event."""
        return self.exact.get(event, []) + [h for p, h in self.wild if matches(p, event)]


def _sent(body: tuple[ast.Stmt, ...], facts: Facts) -> Iterator[tuple[str, ast.Node]]:
    """The events that a body emits in every run, before anything that waits or may end it."""
    for statement in body:
        match statement:
            case ast.Emit(event=event):
                yield event, statement
            case ast.Create(entity=entity) | ast.Let(value=ast.Create(entity=entity)):
                yield f"{entity}.created", statement
            case ast.Update():
                yield from ((event, statement) for event in _changed(statement, facts))
            case ast.AcrossTenants(body=inner):
                yield from _sent(inner, facts)
            case ast.Let(value=ast.Action() as action) if _waits(action, facts):
                return
            case ast.WaitFor() | ast.Return() | ast.Reject():
                return
            case ast.If() | ast.Match() | ast.ForEach() if _may_end(statement):
                return
            case _:
                pass


def _changed(update: ast.Update, facts: Facts) -> Iterator[str]:
    """The events of an update that changes its row each time, as `.visits + 1` does: one that sets
    what is there already sends nothing, and so comes to an end."""
    entity = facts.entity_of(update.target)
    grown = [name for name, entry in entries(update.data).items() if _grows(name, entry, facts)]
    if entity is not None and grown:
        yield f"{entity}.updated"
        yield from (f"{entity}.{name}_changed" for name in grown)


def _grows(name: str, entry: ast.Entry, facts: Facts) -> bool:
    match entry.value:
        case ast.Binary(op="+" | "-", left=ast.RowField(name=read), right=step) if read == name:
            value = facts.fold(step)
            return value is not None and (positive(value) or negative(value))
    return False


def _waits(action: ast.Action, facts: Facts) -> bool:
    signature = facts.checked.actions.get(action)
    return signature is None or signature.waits


def _may_end(statement: ast.Stmt) -> bool:
    ends = ast.Return | ast.Reject | ast.WaitFor
    return any(isinstance(node, ends) for node in walk_code(statement))


def _circle(
    start: ast.On, after: dict[ast.On, list[tuple[ast.On, ast.Node, str]]]
) -> list[tuple[ast.On, ast.Node, str]]:
    """The steps (handler, the emit that leads there, event) of a way back to a handler."""
    came: dict[ast.On, tuple[ast.On, ast.Node, str]] = {}
    waiting = [start]
    while waiting:
        current = waiting.pop(0)
        for other, node, event in after[current]:
            if other in came:
                continue
            came[other] = (current, node, event)
            if other is start:
                return _back(start, came)
            waiting.append(other)
    return []


def _back(
    start: ast.On, came: dict[ast.On, tuple[ast.On, ast.Node, str]]
) -> list[tuple[ast.On, ast.Node, str]]:
    steps: list[tuple[ast.On, ast.Node, str]] = []
    current = start
    while not steps or current is not start:
        before, node, event = came[current]
        steps.append((current, node, event))
        current = before
    return steps[::-1]


def _report(handler: ast.On, circle: list[tuple[ast.On, ast.Node, str]], facts: Facts) -> None:
    events = [event for _, _, event in circle]
    text = f"These events cause each other without an end: {' → '.join([events[-1], *events])}"
    _, first, _ = circle[0]
    labels = tuple(Label(node.span, f"and this {event}") for _, node, event in circle[1:])
    facts.report.add(
        "E0730",
        first.span,
        text,
        help=_way_out(circle, facts),
        labels=labels,
    )


def _way_out(circle: list[tuple[ast.On, ast.Node, str]], facts: Facts) -> str:
    declared = {event.name for event in facts.all(ast.EventDecl)}
    for _, node, event in circle:
        if event in declared and not isinstance(node, ast.Emit):
            return f"{event} comes by itself with this line: call what comes from outside otherwise"
    return "put one of them under a condition, or after a time"
