"""Why something did not happen: the history runs again, and what stood in its way is told.

For each handler that could have done it: the events that came and where its `where`, an `if`, a
refusal or an empty `for each` stopped it, with the values of that moment; what still waits; and
where its event never came, what would have brought it: a trigger that has not turned and how far it
is, another handler, billing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from ..diagnostics import did_you_mean
from ..errors import BizError
from ..ir import nodes as ir
from ..ir.interpret import evaluate
from ..ir.program import Program, Trigger
from ..ir.spell import parts, spell
from ..lang.symbols import Checked
from ..runtime.triggers import without_zero
from ..runtime.waits import fits
from ..runtime.work import Work
from ..store.base import INTERNAL, Row, Store
from ..values import Money, Percent, instant_text, literal, show
from .replay import Check, Passage, Replay
from .wanted import Wanted, has, mentions, people, read_wanted, sites
from .why import Reason, why

DEPTH = 3
SHOWN = 3


def why_not(
    store: Store, checked: Checked, program: Program, clock: datetime | None, text: str
) -> Reason:
    """What kept something from happening, as a tree; UsageError where the text can't be read."""
    return _Search(store, checked, program, clock, read_wanted(text, program)).answer()


class _Search:
    def __init__(
        self, store: Store, checked: Checked, program: Program, clock: datetime | None,
        wanted: Wanted,
    ) -> None:  # fmt: skip
        self.store = store
        self.checked = checked
        self.program = program
        self.clock = clock
        self.wanted = wanted
        self.people = people(store, program, wanted.who)
        keys = {key for found in self.people.values() for key in found}
        self.names = frozenset({*wanted.who, *keys})

    @cached_property
    def replay(self) -> Replay:
        """The history, run again with every handler watched that may lead to what is wanted."""
        engine = Replay(self.program, self.store, self._watched())
        engine.run(self.store, self.clock)
        return engine

    def _watched(self) -> set[str]:
        found: set[str] = set()
        asked = [self.wanted]
        for _ in range(DEPTH):
            handlers = {h.id: h for wanted in asked for h, _ in sites(self.program, wanted)}
            new = [handler for id, handler in handlers.items() if id not in found]
            found |= handlers.keys()
            asked = [Wanted(type_, {}, event=True) for h in new for type_ in _types(h)]
        return found

    def answer(self) -> Reason:
        """The whole of it."""
        if self.wanted.entity:
            missing = self._no_row()
            if missing is not None:
                return missing
        done = list(self._happened())
        if done:
            out = "did happen" if any(held for _, held in done) else "was asked for"
            return Reason(f"{self.wanted} {out}", None, tuple(told for told, _ in done[:SHOWN]))
        told = list(self._strangers()) or [*self._near(), *self._told(self.wanted, 0)]
        return Reason(f"no {self.wanted}", None, tuple(told))

    # --- did it happen? --------------------------------------------------------------------------

    def _happened(self) -> Iterator[tuple[Reason, bool]]:
        """What was wanted and is there, and whether it went well: an effect of the outbox, an
        invoice, an event, a field."""
        wanted = self.wanted
        if wanted.event:
            for entry in self.store.log():
                data = _payload(entry.raw, entry.source == INTERNAL)
                if fits(wanted.kind, entry.type) and has(data, wanted) and (
                    not wanted.who or mentions(data, self.names)
                ):  # fmt: skip
                    yield self._why(entry.id), True
        elif wanted.entity:
            row = self.store.get(wanted.kind, wanted.key or "")
            if row is not None and wanted.fields and has(row, wanted):
                now = ", ".join(f"{name}: {literal(row[name])}" for name in wanted.fields)
                yield Reason(f"{wanted.kind} {wanted.key} has {now}"), True
        elif wanted.kind == "invoice":
            for row in self.store.select("Invoice"):
                if has(row, wanted):
                    yield self._why(row["id"]), True
        else:
            rows = self.store.select("_effect", {"kind": wanted.kind})
            for row in sorted(rows, key=lambda row: -int(row["order"])):
                if has(_fields(row), wanted):
                    yield self._why(row["id"]), row["status"] == "done"

    def _why(self, id: str) -> Reason:
        return why(self.store, self.checked, self.program, id)

    def _no_row(self) -> Reason | None:
        kind, key = self.wanted.kind, self.wanted.key or ""
        if self.store.get(kind, key) is not None:
            return None
        key_field = self.program.entities[kind].key
        near = did_you_mean(key, [str(row[key_field]) for row in self.store.select(kind)])
        return Reason(f"There is no {kind} {key}." + (f" Did you mean {near}?" if near else ""))

    # --- what is near ----------------------------------------------------------------------------

    def _strangers(self) -> Iterator[Reason]:
        """Values that nothing here has: most often a slip of the pen."""
        template = self.wanted.fields.get("template")
        if template is not None and template not in self.program.templates:
            near = did_you_mean(template, self.program.templates)
            hint = f": did you mean {near}?" if near else ""
            yield Reason(f"the spec has no template {template}{hint}")
        for name in self.wanted.who:
            if not self.people and not self._seen(name):
                near = did_you_mean(name, self._texts())
                hint = f": did you mean {near}?" if near else ""
                yield Reason(f"nothing here has {name} in it{hint}")

    def _seen(self, name: str) -> bool:
        return any(name in entry.raw for entry in self.store.log())

    def _texts(self) -> list[str]:
        """What rows are called and where their people are reached."""
        found: dict[str, None] = {}
        for entity in self.program.entities.values():
            if entity.builtin:
                continue
            for row in self.store.select(entity.name):
                found |= dict.fromkeys(
                    str(row[name]) for name in (entity.key, *entity.uniques, "email")
                    if isinstance(row.get(name), str)
                )  # fmt: skip
        return list(found)

    def _near(self) -> Iterator[Reason]:
        """The same kind of effect for the same people, where it differs in something else."""
        wanted = self.wanted
        if wanted.event or wanted.entity or not wanted.who:
            return
        rows = [
            row for row in self.store.select("_effect", {"kind": wanted.kind})
            if mentions(_fields(row), self.names)
        ]  # fmt: skip
        rows.sort(key=lambda row: -int(row["order"]))
        for row in rows[:SHOWN]:
            fields = _fields(row)
            other = [
                f"{name} {show(fields.get(name))}" for name in wanted.fields
                if not has(fields, Wanted("", {name: wanted.fields[name]}))
            ]  # fmt: skip
            about = ", ".join(other)
            at = instant_text(row["created"])
            yield Reason(f"there is {wanted.kind} {row['id'][:10]} with {about} at {at}",
                         row["place"] or None)  # fmt: skip
        if len(rows) > SHOWN:
            yield Reason(f"and {len(rows) - SHOWN:,} more of them")

    # --- who could have done it ------------------------------------------------------------------

    def _told(self, wanted: Wanted, depth: int) -> Iterator[Reason]:
        """Each handler that could have done it, and what stood in its way."""
        found: dict[str, tuple[ir.Handler, list[ir.Step]]] = {}
        for handler, step in sites(self.program, wanted):
            found.setdefault(handler.id, (handler, []))[1].append(step)
        for handler, steps in found.values():
            place = str(steps[0].place)
            told = tuple(self._handler(handler, steps, wanted, depth))
            yield Reason(f"`{handler.id}` could have", place, told)
        made = list(self._made(wanted))
        yield from made
        if made or found:
            return
        if wanted.event and self._declared(wanted.kind):
            if depth == 0:
                yield Reason(f"it comes from outside, and none came{self._whom()}")
        else:
            yield Reason(f"nothing in the spec does that: no handler has {wanted}")

    def _declared(self, type_: str) -> bool:
        declared = self.program.events.get(type_)
        return declared is not None and declared.origin == "author"

    def _made(self, wanted: Wanted) -> Iterator[Reason]:
        """What comes without a handler: by a trigger, or by billing."""
        if wanted.event:
            for trigger in self.program.triggers:
                if fits(wanted.kind, trigger.event):
                    yield self._trigger(trigger)
            declared = self.program.events.get(wanted.kind)
            if declared is not None and declared.origin == "billing":
                yield from self._billing(f"{wanted.kind} comes from billing")
        elif wanted.kind in ("charge", "invoice") and self.program.bills:
            yield from self._billing(f"billing makes each {wanted.kind} of a subscription")
        if wanted.entity or wanted.event:
            yield from self._arrows(wanted)

    def _handler(
        self, handler: ir.Handler, steps: list[ir.Step], wanted: Wanted, depth: int
    ) -> Iterator[Reason]:
        ways = _Ways(handler, steps)
        passages = [p for p in self.replay.passages if p.handler.id == handler.id]
        concerned = [p for p in passages if self._concerns(p)]
        told = [reason for p in reversed(concerned) for reason in self._stopped(p, ways, wanted)]
        yield from told[:SHOWN]
        if len(told) > SHOWN:
            yield Reason(f"and {_times(len(told) - SHOWN, 'more ')}")
        pending = list(self._pending(handler, ways))
        yield from pending
        if concerned and not told and not pending:
            yield Reason(f"it ran {_times(len(concerned))}{self._whom()}, and did something else")
        if not concerned:
            yield from self._never(handler, len(passages), depth)

    def _concerns(self, passage: Passage) -> bool:
        if not self.wanted.who:
            return True
        event = passage.event
        seen = (passage.payload, event.get("subject"), [given for _, given in passage.steps])
        return mentions(seen, self.names)

    def _stopped(self, passage: Passage, ways: _Ways, wanted: Wanted) -> Iterator[Reason]:
        """Where one passage ended short of the steps that were wanted."""
        name = str(passage.event.get("id", ""))
        id = f" ({name})" if name and "/" not in name and "@" not in name else ""
        kind = str(passage.event.get("type", ""))
        after = ", later on" if passage.segment else ""
        head = f"{kind}{id} at {instant_text(passage.now)}{after}"
        if passage.missed is not None:
            yield Reason(head, None, (_check("where ", passage.missed, False),))
            return
        if passage.segment not in ways.leading:
            return
        reasons = list(self._on_the_way(passage, ways, wanted))
        if passage.refused is not None:
            reasons.append(Reason(f"it was refused: {passage.refused}"))
        reasons += self._called_off(passage, ways)
        if reasons:
            yield Reason(head, None, tuple(reasons))

    def _on_the_way(self, passage: Passage, ways: _Ways, wanted: Wanted) -> Iterator[Reason]:
        for step, check in passage.checks:
            if isinstance(step, ir.IfStep):
                taken, left = step.then, step.otherwise
                if not check.held:
                    taken, left = left, taken
                if ways.lead(left) - ways.lead(taken):
                    yield _check("if ", check, check.held)
            elif isinstance(step, ir.MatchStep) and ways.lead((step,)):
                yield Reason(check.text, str(check.place), _values(check))
        for step, given in passage.steps:
            if step in ways.steps and isinstance(given, Mapping):
                if not has(given, wanted):
                    said = [
                        f"{name} {show(given[name])}" for name in wanted.fields
                        if name in given and not has(given, Wanted("", {name: wanted.fields[name]}))
                    ]  # fmt: skip
                    if said:
                        yield Reason(f"it did so with {', '.join(said)}", str(step.place))
            elif isinstance(step, ir.LoopStep) and ways.lead_in(step.body) and given == []:
                yield Reason(f"`for each {step.variable}`: there was none", str(step.place))

    def _called_off(self, passage: Passage, ways: _Ways) -> Iterator[Reason]:
        ran = {p.base for p in self.replay.passages}
        for key, step in passage.timers.items():
            if not ways.lead_in(step.segment) or key in ran or passage.refused is not None:
                continue
            if self.replay.state.get("_timer", key) is None:
                types = " or ".join(step.unless.types) if step.unless else "an event"
                yield Reason(f"its timer was called off: {types} came first", str(step.place))

    # --- what waits ------------------------------------------------------------------------------

    def _pending(self, handler: ir.Handler, ways: _Ways) -> Iterator[Reason]:
        """What still waits and would go on towards it."""
        engine = self.replay
        for row in engine.state.select("_wait", {}):
            if row["cancels"] is None and self._waits(row, handler, ways):
                due = engine.state.get("_timer", row["timer"]) if row["timer"] else None
                until = f", at the latest until {instant_text(due['due'])}" if due else ""
                types = " or ".join(row["types"])
                where = engine.waits.code(row["unit"]).patterns[row["pattern"]].pattern.where
                such = f" where {spell(where)}" if where is not None else ""
                yield Reason(f"it still waits for {types}{such}{until}", str(handler.place))
        for row in engine.state.select("_timer", {}):
            if row["kind"] == "segment" and self._waits(row["task"], handler, ways):
                yield Reason(f"it is due at {instant_text(row['due'])}", str(handler.place))
        for row in engine.state.select("_effect", {}):
            if row["resume"] and self._waits(row["resume"], handler, ways):
                yield Reason(
                    f"it waits for the result of {row['kind']} {row['id'][:10]} ({row['status']})",
                    row["place"] or None,
                )

    def _waits(self, task: Row, handler: ir.Handler, ways: _Ways) -> bool:
        if self.replay.waits.code(task["unit"]).unit.handler.id != handler.id:
            return False
        concerns = not self.wanted.who or mentions((task["live"], task["event"]), self.names)
        return concerns and ways.lead_in(task["segment"])

    # --- what never came -------------------------------------------------------------------------

    def _never(self, handler: ir.Handler, others: int, depth: int) -> Iterator[Reason]:
        """Why a handler did not run for whom it concerns."""
        whom = self._whom()
        if handler.pattern is None:
            what = "ran" if handler.kind == "every" else "was called"
            yield Reason(f"it {what} {_times(others)}, never with anything{whom}")
            return
        for type_ in handler.pattern.types:
            came = self._came(type_)
            more = f"; it came {_times(came)} in all" if came else ""
            deeper: tuple[Reason, ...] = ()
            if depth < DEPTH - 1:
                deeper = tuple(self._told(Wanted(type_, {}, event=True), depth + 1))
            yield Reason(f"{type_} never came{whom}{more}", None, deeper)

    def _whom(self) -> str:
        return f" for {' or '.join(self.wanted.who)}" if self.wanted.who else ""

    def _came(self, type_: str) -> int:
        return sum(1 for entry in self.replay.state.store.log() if fits(type_, entry.type))

    def _trigger(self, trigger: Trigger) -> Reason:
        """How a trigger stands for the people in question."""
        place, condition = str(trigger.place), without_zero(trigger.condition)
        keys = sorted(self.people.get(trigger.entity, ()))[:SHOWN]
        if not keys:
            return Reason(f"trigger {trigger.event}: {spell(condition)}", place)
        told = [self._stands(trigger, key) for key in keys]
        return Reason(f"trigger {trigger.event} has not turned", place, tuple(told))

    def _stands(self, trigger: Trigger, key: str) -> Reason:
        engine, condition = self.replay, without_zero(trigger.condition)
        now = engine.clock or datetime.min
        work = Work(engine, now, "why", {"id": "", "type": "", "time": now, "subject": key}, None)

        def value(node: ir.Expr) -> Any:
            program = self.program
            names = {"self": key}
            return evaluate(node, work, names, program.functions, program.constants)

        try:
            held = value(trigger.condition) is True
        except BizError as error:
            return Reason(f"for {key}: {error}")
        row = engine.state.get("_trigger", f"{trigger.event}|{key}")
        if held:
            again = "in the next period" if trigger.once_per_period else "once it was false between"
            since = f", and fires again {again}" if row is not None else ""
            return Reason(f"for {key}: `{spell(condition)}` is true{since}")
        told: list[Reason] = []
        for part in parts(condition):
            try:
                told.append(Reason(f"{spell(part)}: {literal(value(part))}"))
            except BizError as error:
                told.append(Reason(f"{spell(part)}: {error}"))
        far = _far(condition, value)
        return Reason(f"for {key}: `{spell(condition)}` is false{far}", None, tuple(told))

    def _arrows(self, wanted: Wanted) -> Iterator[Reason]:
        """The arrows of a lifecycle that lead to a wanted state."""
        for life in self.program.lifecycles:
            field = f"{life.entity}.{life.field}_changed"
            asked = wanted.kind == life.entity and life.field in wanted.fields
            if not (wanted.kind == field if wanted.event else asked):
                continue
            target = wanted.fields.get("to" if wanted.event else life.field)
            keys = [wanted.key] if wanted.key else sorted(self.people.get(life.entity, ()))
            states = [row[life.field] for key in keys if (row := self.store.get(life.entity, key))]
            for arrow in life.arrows:
                if target is not None and arrow.target != target:
                    continue
                source = f'"{arrow.source}"' if arrow.source else "any"
                when = f" on {' or '.join(arrow.pattern.types)}" if arrow.pattern else ""
                when += f" after {spell(arrow.after)}" if arrow.after is not None else ""
                came = [
                    Reason(f"{type_} came {_times(count)} for it" if count
                           else f"{type_} never came for it")
                    for type_ in (arrow.pattern.types if arrow.pattern else ())
                    for count in [self._about(type_)]
                ]  # fmt: skip
                if states and arrow.source not in (None, states[0]):
                    came.insert(0, Reason(f'it is "{states[0]}", not {source}'))
                yield Reason(
                    f'the arrow {source} -> "{arrow.target}"{when} was not taken',
                    str(arrow.place), tuple(came),
                )  # fmt: skip

    def _about(self, type_: str) -> int:
        """How many events of a type concern the people in question."""
        return sum(
            1 for entry in self.store.log()
            if fits(type_, entry.type)
            and mentions(_payload(entry.raw, entry.source == INTERNAL), self.names)
        )  # fmt: skip

    def _billing(self, head: str) -> Iterator[Reason]:
        """How the customers in question stand with billing."""
        customers = sorted(self.people.get(self.program.bills or "", ()))
        told: list[Reason] = []
        for customer in customers[:SHOWN]:
            told += self._customer(customer)
        yield Reason(head, None, tuple(told))

    def _customer(self, customer: str) -> Iterator[Reason]:
        subscriptions = sorted(
            self.store.select("Subscription", {"customer": customer}), key=lambda r: r["created_at"]
        )
        if not subscriptions:
            yield Reason(f"{customer} has no subscription")
        for row in subscriptions[-SHOWN:]:
            end = row.get("trial_end") if row["status"] == "trialing" else row.get("period_end")
            until = f" until {instant_text(end)}" if end is not None else ""
            yield Reason(f"{row['plan']} of {customer} is {row['status']}{until} ({row['id']})")
        spent = [row for row in self.store.select("_spent") if row["id"].startswith(f"{customer}|")]
        if any(row["over"] for row in spent):
            yield Reason(f"{customer} is over its bound of a day: bizrun outbox unpark {customer}")
        invoices = sorted(
            self.store.select("Invoice", {"customer": customer}), key=lambda r: r["created_at"]
        )
        for row in invoices[-SHOWN:]:
            name = row["number"] or row["id"]
            yield Reason(f"invoice {name}: {show(row['amount_due'])} due, {row['status']}")
        payments = sorted(
            self.store.select("Payment", {"customer": customer}), key=lambda r: r["created_at"]
        )
        if payments and payments[-1]["status"] == "failed":
            yield Reason(f"the newest payment failed: {payments[-1]['error']}")


class _Ways:
    """Which steps and segments of a handler lead to some of its steps."""

    def __init__(self, handler: ir.Handler, steps: list[ir.Step]) -> None:
        self.handler = handler
        self.steps = steps
        self._inside: dict[int, frozenset[int]] = {}
        self.leading = {n for n in range(len(handler.segments)) if self.lead_in(n)}

    def lead(self, steps: tuple[ir.Step, ...]) -> frozenset[int]:
        """The wanted steps, by their place in the list, that can come of some steps."""
        found: frozenset[int] = frozenset()
        for step in steps:
            found |= {n for n, wanted in enumerate(self.steps) if wanted is step}
            match step:
                case ir.IfStep(then=then, otherwise=otherwise):
                    found |= self.lead(then) | self.lead(otherwise)
                case ir.MatchStep(cases=cases, otherwise=otherwise):
                    found |= self.lead(otherwise)
                    for _, inner in cases:
                        found |= self.lead(inner)
                case ir.LoopStep(body=body, after=after):
                    found |= self._in(body)
                    found |= self._in(after) if after is not None else frozenset()
                case ir.GotoStep() | ir.AwaitAction() | ir.AwaitEvent() | ir.TimerStep():
                    found |= self._in(step.segment)
        return found

    def lead_in(self, segment: int) -> bool:
        """Whether a segment leads to one of them."""
        return bool(self._in(segment))

    def _in(self, segment: int) -> frozenset[int]:
        if segment not in self._inside:
            self._inside[segment] = frozenset()  # a circle leads no further
            self._inside[segment] = self.lead(self.handler.segments[segment].steps)
        return self._inside[segment]


def _times(count: int, more: str = "") -> str:
    return f"{count:,} {more}time{'s' * (count != 1)}"


def _types(handler: ir.Handler) -> tuple[str, ...]:
    return handler.pattern.types if handler.pattern is not None else ()


def _fields(row: Row) -> dict[str, Any]:
    """The fields of an effect, under the names that a spec and a test use."""
    status = {"done": "succeeded"}.get(row["status"], row["status"])
    ours = {"customer": row["customer"], "status": status, "error": row["error"]}
    return {**ours, **row["data"]}


def _payload(raw: str, own: bool) -> Mapping[str, Any]:
    from ..runtime.happenings import decode_raw

    held = decode_raw(raw) if raw[:1] == "{" else {}
    data = held if own else held.get("data")
    return data if isinstance(data, Mapping) else {}


def _check(word: str, check: Check, held: bool) -> Reason:
    said = "true" if held else "false"
    return Reason(f"`{word}{check.text}` was {said}", str(check.place), _values(check))


def _values(check: Check) -> tuple[Reason, ...]:
    return tuple(Reason(f"{part.text}: {part.value}") for part in check.parts)


def _far(condition: ir.Expr, value: Any) -> str:
    """`: 61,000 of 80,000, 76.3%`: how near a comparison is to being true."""
    if not isinstance(condition, ir.BinaryExpr):
        return ""
    if condition.op == "and":
        return _far(condition.left, value) or _far(condition.right, value)
    if condition.op not in (">=", ">", "<", "<="):
        return ""
    try:
        left, right = value(condition.left), value(condition.right)
    except BizError:
        return ""
    if type(left) is Money and type(right) is Money and left.currency == right.currency:
        a, b = Decimal(left.amount), Decimal(right.amount)
    elif isinstance(left, int | Decimal) and isinstance(right, int | Decimal):
        a, b = Decimal(left), Decimal(right)
    else:
        return ""
    if condition.op in ("<", "<=") or not b.is_finite() or b <= 0:
        return f": {show(left)} against {show(right)}"
    share = Percent.of((a * 100 / b).quantize(Decimal("0.1")))
    return f": {show(left)} of {show(right)}, {show(share)}"
