"""Lifecycles: states of the field's union, a way to each of them, and no way that is ambiguous."""

from __future__ import annotations

from ...diagnostics import Label, Span
from .. import ast
from ..types import ANY, TEXT, Choice, EntityType, Maybe, Type, known, type_text
from .events import snake
from .facts import Facts, entries, positive

# A state with one of these names, or in -ing, waits for something: it is no end.
WAITING = [
    "active",
    "blocked",
    "draft",
    "held",
    "new",
    "on_hold",
    "open",
    "overdue",
    "past_due",
    "paused",
    "requested",
    "scheduled",
    "started",
    "stuck",
    "submitted",
    "suspended",
    "trial",
    "unpaid",
]


def check_lifecycles(facts: Facts) -> None:
    """Checks every lifecycle, and updates that set a state which none of its arrows leads to."""
    for lifecycle in facts.all(ast.Lifecycle):
        if facts.symbols.lifecycles.get((lifecycle.entity, lifecycle.field)) is not lifecycle:
            continue
        type_ = _field_type(lifecycle, facts)
        if type_ is not None:
            _check(lifecycle, type_, facts)
    for update in facts.updates:
        _check_update(update, facts)


def _field_type(lifecycle: ast.Lifecycle, facts: Facts) -> Type | None:
    entity = facts.symbols.entities.get(lifecycle.entity)
    if entity is None:
        if facts.lost(lifecycle.entity):
            return None
        text = f"There is no entity `{lifecycle.entity}`"
        hint = facts.near(lifecycle.entity, facts.symbols.entities)
        facts.report.add("E0701", lifecycle.name_span, text, help=hint)
        return None
    if entity.decl is not None and entity.decl.append_only:
        text = f"{lifecycle.entity} is append only: its rows have no life"
        facts.report.add("E0418", lifecycle.name_span, text)
    info = entity.fields.get(lifecycle.field)
    if info is None:
        if not (entity.decl and facts.damaged(entity.decl)):
            text = f"`{lifecycle.entity}` has no field `{lifecycle.field}`"
            hint = facts.near(lifecycle.field, entity.fields, "fields")
            facts.report.add("E0701", lifecycle.name_span, text, help=hint)
        return None
    if not isinstance(known(info.type), Choice) and known(info.type) != TEXT:
        shown = type_text(info.type)
        text = f"A lifecycle needs a field of states; `{lifecycle.field}` is {shown}"
        hint = 'declare it like `status "draft" | "sent" | "paid"`'
        facts.report.add("E0703", lifecycle.name_span, text, help=hint)
        return None
    return info.type


def _check(lifecycle: ast.Lifecycle, type_: Type, facts: Facts) -> None:
    states = known(type_)
    mistyped = False
    if isinstance(states, Choice):
        for state, span in _named(lifecycle):
            if state not in states.values:
                text = f'"{state}" is none of the states of `{lifecycle.field}`'
                facts.unknown("E0704", span, text, state, states.values, "states")
                mistyped = True
    _check_ambiguous(lifecycle, facts)
    for arrow in lifecycle.arrows:
        _check_whose(arrow, lifecycle, facts)
        delay = facts.fold(arrow.after)
        if delay and delay.type == "duration" and not positive(delay):
            text = "A state is left after some time, like `14 days`"
            facts.report.add("E0706", delay.span, text)
    if facts.damaged(lifecycle):
        return
    if lifecycle.start is None:
        if not isinstance(type_, Maybe):
            text = f"Nothing says in which state `{lifecycle.field}` starts"
            hint = 'add `start "…"` as the first line'
            facts.report.add("E0705", lifecycle.name_span, text, help=hint)
        return
    if not mistyped and _begins(lifecycle, facts):
        _check_reach(lifecycle, lifecycle.start, facts)


def _begins(lifecycle: ast.Lifecycle, facts: Facts) -> bool:
    """Whether rows begin where the lifecycle says: a field's default goes before it."""
    entity = facts.symbols.entities[lifecycle.entity]
    default = entity.fields[lifecycle.field].default
    # Billing's own begin as their actions say.
    if entity.builtin or not isinstance(default, ast.Text) or default.plain is None:
        return True
    if default.plain == lifecycle.start or lifecycle.start_span is None:
        return True
    states = known(entity.fields[lifecycle.field].type)
    if isinstance(states, Choice) and default.plain not in states.values:
        return True  # it is the default that is wrong, which is told
    text = f'`{lifecycle.field}` begins as "{default.plain}", its default'
    hint = f'write `start "{default.plain}"`, or leave out the default'
    labels = (Label(default.span, "the default"),)
    facts.report.add("E0710", lifecycle.start_span, text, help=hint, labels=labels)
    return False


def _named(lifecycle: ast.Lifecycle) -> list[tuple[str, Span]]:
    named = []
    if lifecycle.start is not None:
        named.append((lifecycle.start, lifecycle.start_span or lifecycle.name_span))
    for arrow in lifecycle.arrows:
        if arrow.source is not None:
            named.append((arrow.source, arrow.source_span))
        named.append((arrow.target, arrow.target_span))
    return named


def _check_ambiguous(lifecycle: ast.Lifecycle, facts: Facts) -> None:
    """Two arrows from one state on one event, where no `where` tells them apart."""
    seen: dict[tuple[str | None, str], ast.Arrow] = {}
    for arrow in lifecycle.arrows:
        if arrow.on is None and arrow.after is None:
            continue
        keys = [event for event, _ in arrow.on.types] if arrow.on else ["after"]
        for event in keys:
            first = seen.setdefault((arrow.source, event), arrow)
            if first is arrow or (arrow.on and (arrow.on.where or _where(first))):
                continue
            labels = (Label(first.span, "the first one"),)
            source = "any state" if arrow.source is None else f'"{arrow.source}"'
            cause = "after a time" if event == "after" else f"on `{event}`"
            if first.target == arrow.target and event != "after":
                text = f"This arrow from {source} {cause} stands twice"
            else:
                text = f"Two arrows leave {source} {cause}"
            hint = "tell them apart by `where`" if event != "after" else None
            facts.report.add("E0707", arrow.span, text, help=hint, labels=labels)


def _check_whose(arrow: ast.Arrow, lifecycle: ast.Lifecycle, facts: Facts) -> None:
    """An event moves the row that it names: its subject, or its one field of that entity."""
    wanted = EntityType(lifecycle.entity)
    for name, span in arrow.on.types if arrow.on else ():
        info = None if "*" in name else facts.symbols.events.get(name)
        if info is None or not info.declared or info.payload.open:
            continue
        if all(known(type_) not in (wanted, ANY) for _, type_ in info.payload.fields):
            text = f"`{name}` has no field of the type {lifecycle.entity}, so it moves none"
            hint = f"give the event one: `{snake(lifecycle.entity)} {lifecycle.entity}`"
            facts.warn("W0703", span, text, help=hint)


def _where(arrow: ast.Arrow) -> ast.Expr | None:
    return arrow.on.where if arrow.on else None


# --- which states can be reached and left ---------------------------------------------------


def _check_reach(lifecycle: ast.Lifecycle, start: str, facts: Facts) -> None:
    reached = {start}
    grown = True
    while grown:
        found = {a.target for a in lifecycle.arrows if a.source is None or a.source in reached}
        grown = not found <= reached
        reached |= found
    reported: set[str] = set()
    for arrow in lifecycle.arrows:
        source = arrow.source
        if source is not None and source not in reached and source not in reported:
            reported.add(source)
            text = f'No arrow leads to "{source}", so this one is never taken'
            facts.report.add("E0708", arrow.source_span, text)
    _check_unused(lifecycle, reached | reported, facts)
    _check_ends(lifecycle, reached, facts)


def _check_unused(lifecycle: ast.Lifecycle, named: set[str], facts: Facts) -> None:
    """States of the union that the lifecycle never mentions; billing's own are its business."""
    entity = facts.symbols.entities[lifecycle.entity]
    type_ = known(entity.fields[lifecycle.field].type)
    if entity.builtin or not isinstance(type_, Choice):
        return
    missing = [state for state in type_.values if state not in named]
    for state in missing:
        text = f'No arrow leads to "{state}", a state of `{lifecycle.field}`'
        facts.warn("W0702", lifecycle.name_span, text)
        break


def _check_ends(lifecycle: ast.Lifecycle, reached: set[str], facts: Facts) -> None:
    """A reached state without a way out, whose name says that it only waits."""
    for state in sorted(reached):
        leaves = any(
            a.source == state or (a.source is None and a.target != state) for a in lifecycle.arrows
        )
        waiting = state in WAITING or state.endswith("ing")
        if leaves or not (waiting or state == lifecycle.start):
            continue
        spans = [a.target_span for a in lifecycle.arrows if a.target == state]
        span = spans[0] if spans else lifecycle.start_span or lifecycle.name_span
        text = f'No arrow leaves "{state}"'
        hint = "whatever gets there stays for ever; add an arrow out of it"
        facts.warn("W0701", span, text, help=hint)


def _check_update(update: ast.Update, facts: Facts) -> None:
    entity = facts.entity_of(update.target)
    if entity is None:
        return
    for name, entry in entries(update.data).items():
        lifecycle = facts.symbols.lifecycles.get((entity, name))
        state = entry.value.plain if isinstance(entry.value, ast.Text) else None
        if lifecycle is None or state is None or facts.damaged(lifecycle):
            continue
        if all(arrow.target != state for arrow in lifecycle.arrows):
            text = f'No arrow of the lifecycle leads to "{state}"'
            labels = (Label(lifecycle.name_span, "the lifecycle"),)
            targets = dict.fromkeys(arrow.target for arrow in lifecycle.arrows)
            facts.unknown("E0709", entry.value.span, text, state, targets, "targets", labels)
