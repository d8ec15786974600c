"""A checked spec becomes a Program: the one place that knows every kind of declaration."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePath

from msgspec.structs import replace

from ..billing import catalog
from ..lang import ast
from ..lang.check.meters import figure_type
from ..lang.std import in_std
from ..lang.symbols import Checked, EntityInfo, EventInfo, Symbols
from ..lang.types import ANY, EntityType, Type, known, type_text
from ..lang.walk import walk, walk_code
from . import nodes as ir
from .constants import constant
from .identity import lower_directory, lower_sign_in
from .lower import EVENT, HandlerLowering
from .lower_billing import BillingLowering, placeholder
from .lower_expr import Scope, dotted
from .lower_triggers import lower_trigger
from .program import (
    Api,
    Arrow,
    Bounds,
    Entity,
    EntityField,
    EventType,
    Lifecycle,
    Meter,
    Metric,
    Param,
    Program,
    Schedule,
    Template,
)

# What a business says of itself on invoices and emails.
ABOUT = (
    "email", "address", "website", "tax_id", "country", "locale", "logo", "footer", "bank",
    "fonts", "pay_url", "einvoice",
)  # fmt: skip
_BOUNDS = frozenset(Bounds.__struct_fields__)


def splits(node: ast.Node) -> bool:
    """Whether a node is a charge of a marketplace: split, or held."""
    if not isinstance(node, ast.Action) or node.name != "charge":
        return False
    names = {entry.name for entry in node.data.entries if isinstance(entry, ast.Entry)}
    return bool(names & {"split", "hold"})


def lower(checked: Checked) -> Program:
    """The program of a spec without errors."""
    return _ProgramLowering(checked).program()


class _ProgramLowering:
    def __init__(self, checked: Checked) -> None:
        self.checked = checked
        self.symbols = checked.symbols
        self.code = HandlerLowering(checked)
        self.billing = BillingLowering(checked)
        self._ids: dict[str, int] = {}

    def program(self) -> Program:
        symbols = self.symbols
        path = self.checked.loaded.path
        name = PurePath(path).name.removesuffix(".yaml").removesuffix(".biz")
        title = symbols.business.title if symbols.business else name
        program = Program(
            name, path, title, symbols.currency, symbols.timezone, symbols.bills, symbols.tenant
        )
        program.entities = {n: self._entity(info) for n, info in symbols.entities.items()}
        program.events = {n: self._event(info) for n, info in symbols.events.items()}
        program.shapes = {
            shape: {n: self.code.lower(e, Scope()) for n, e in defaults.items() if e is not None}
            for shape, defaults in symbols.shape_defaults.items()
        }
        program.functions = {n: self.code.function(fn) for n, fn in symbols.fns.items()}
        program.constants = {
            n: self.code.lower(const.value, Scope()) for n, const in symbols.consts.items()
        }
        self._handlers(program)
        program.lifecycles = [self._lifecycle(node) for node in symbols.lifecycles.values()]
        program.triggers = [
            lower_trigger(node, self.code, program, symbols.meters)
            for node in symbols.triggers.values()
        ]
        self._reports(program)
        self._billing(program)
        addons = tuple(program.addons.values())
        program.ranged = self._ranged().union(
            *(catalog.rated_by_event(plan, addons) for plan in (*program.plans.values(), *addons))
        )
        program.marketplace = any(
            splits(node)
            for file in self.checked.loaded.files
            for declaration in file.declarations
            for node in walk_code(declaration)
        )
        for name, sets in self.code.compared.items():
            program.entities[name] = _indexed(program.entities[name], sets)
        return program

    def _ranged(self) -> frozenset[str]:
        """The meters that `usage(customer, meter, range)` asks for, in rules or tests."""
        loaded = self.checked.loaded
        if not any("usage(" in source.text for source in loaded.sources.values()):
            return frozenset()
        calls = [node for file in loaded.files for node in walk(file) if isinstance(node, ast.Call)]
        asked = [call.args[1] for call in calls if dotted(call.callee) == "usage"
                 and len(call.args) == 3]  # fmt: skip
        names = {meter.name for meter in asked if isinstance(meter, ast.Name)}
        # A meter that is only known when the rule runs may be any.
        return frozenset(names & set(self.symbols.meters) or (self.symbols.meters if asked else ()))

    # --- handlers ------------------------------------------------------------------------------

    def _handlers(self, program: Program) -> None:
        for on in self.symbols.handlers:
            id_ = self._id("on " + " or ".join(name for name, _ in on.pattern.types))
            program.handlers.append(self.code.handler(id_, "on", _body(on), on.span, on.pattern))
        program.schedules = [self._schedule(node) for node in self.symbols.schedules]
        for api in self.symbols.apis:
            program.apis.append(self._api(api))

    def _id(self, text: str) -> str:
        """A handler's id: what it is for, and which of several; other edits leave it alone."""
        self._ids[text] = self._ids.get(text, 0) + 1
        count = self._ids[text]
        return text if count == 1 else f"{text} #{count}"

    def _schedule(self, node: ast.Every) -> Schedule:
        interval = constant(node.interval, self.symbols)
        at = constant(node.at, self.symbols)
        words = [node.cron and f'"{node.cron}"', interval and str(interval), node.unit]
        words += [node.on and f"on {node.on}", at and f"at {at:%H:%M}"]
        words += [node.zone and f'in "{node.zone}"']
        text = "every " + " ".join(str(word) for word in words if word)
        handler = self.code.handler(self._id(text), "every", node.body, node.span)
        return Schedule(
            handler, node.kind, node.unit, interval, node.cron, node.on, at, node.zone,
            node.catch_up,
        )  # fmt: skip

    def _api(self, node: ast.Api) -> Api:
        names = tuple(param.name for param in node.params)
        # A part of the path in braces is a text, also where no parameter is declared for it.
        parts = [part.strip("{}:") for part in node.path.split("/") if part[:1] in ("{", ":")]
        names += tuple(part for part in parts if part not in names)
        handler = self.code.handler(
            self._id(f"api {node.method} {node.path}"), "api", node.body, node.span, None,
            names + ((node.caller,) if node.caller else ()),
        )  # fmt: skip
        params = tuple(
            Param(
                param.name,
                self.checked.type_of(param),
                self.code.lower(param.default, Scope()) if param.default is not None else None,
            )
            for param in node.params
        )
        return Api(node.method, node.path, params, node.caller, node.roles, handler)

    # --- entities and events ---------------------------------------------------------------------

    def _entity(self, info: EntityInfo) -> Entity:
        fields = {
            f.name: EntityField(
                f.name,
                f.type,
                self.code.lower(f.default, Scope()) if f.default is not None else None,
                f.unique,
                f.decl.was[0] if f.decl is not None and f.decl.was is not None else None,
            )
            for f in info.fields.values()
        }
        return Entity(info.name, info.key, fields, info.indexes, info.generated_key, info.builtin)

    def _event(self, info: EventInfo) -> EventType:
        defaults = {n: self.code.lower(e, Scope()) for n, e in info.defaults.items()}
        return EventType(info.name, info.payload, info.key, defaults, info.declared, info.origin)

    def _lifecycle(self, node: ast.Lifecycle) -> Lifecycle:
        arrows = []
        for arrow in node.arrows:
            pattern = None
            if arrow.on is not None:
                scope = Scope({"self": ir.Local("self")}, (ir.Local("self"), _self(node.entity)))
                named = arrow.on if arrow.on.name else _named(arrow.on)
                pattern = self.code.pattern(named, scope)[0]
            after = self.code.lower(arrow.after, Scope()) if arrow.after is not None else None
            place = self.code.place(arrow.span)
            arrows.append(Arrow(arrow.source, arrow.target, pattern, after, place))
        start = node.start or (node.arrows[0].source if node.arrows else None)
        return Lifecycle(node.entity, node.field, start, tuple(arrows))

    # --- figures -------------------------------------------------------------------------------

    def _reports(self, program: Program) -> None:
        symbols = self.symbols
        for name, node in symbols.meters.items():
            event = symbols.events.get(node.events[0][0])
            payload: Type = event.payload if event is not None else ANY
            scope = Scope({}, (ir.Local(EVENT), payload))
            where = self.code.lower(node.where, scope) if node.where is not None else None
            program.meters[name] = Meter(
                name, node.aggregate, node.field, tuple(e for e, _ in node.events), node.per,
                tuple(d for d, _ in node.by), where, node.unit,
                type_text(figure_type(symbols, node)),
            )  # fmt: skip
        for name, metric in symbols.metrics.items():
            value = self.code.metric(name) if metric.value is not None else None
            every = metric.every
            if every is not None and not isinstance(every, str):
                every = constant(every, symbols)
            type_ = symbols.metric_types.get(name)
            if type_ is not None:
                program.metrics[name] = Metric(name, type_, value, every)
        program.roles = {name: role.can for name, role in symbols.roles.items()}
        program.experiments = {
            name: tuple((v.name, self.code.lower(v.value, Scope())) for v in node.variants)
            for name, node in symbols.experiments.items()
        }
        for name, template in symbols.templates.items():
            parts = {part: text for part, text, _ in template.parts}
            program.templates[name] = Template(name, parts, None)
        for name, source in self.checked.loaded.template_files.items():
            program.templates.setdefault(name, template_file(name, source.text, source.name))

    def _billing(self, program: Program) -> None:
        symbols = self.symbols
        program.plans = {name: self.billing.plan(node) for name, node in symbols.plans.items()}
        program.addons = {name: self.billing.plan(node) for name, node in symbols.addons.items()}
        program.coupons = {n: self.billing.coupon(c) for n, c in symbols.coupons.items()}
        program.taxes = {name: self.billing.tax(tax) for name, tax in symbols.taxes.items()}
        names = {n: ir.Local(n) for n in ("customer", "plan", "line")}
        for name, tax in symbols.taxes.items():
            if tax.when is not None:
                program.tax_conditions[name] = self.code.lower(tax.when, Scope(names))
        offers: list[ast.Plan | ast.Addon] = [*symbols.plans.values(), *symbols.addons.values()]
        for node in offers:
            for item in node.items:
                if isinstance(item, ast.PriceVersion) and item.where is not None:
                    row = (ir.Local("self"), _self("Subscription"))
                    name = self.billing.version_name(node, item)
                    program.version_conditions[name] = self.code.lower(
                        item.where, Scope({"self": ir.Local("self")}, row)
                    )
        policy = _policy(symbols)
        program.dunning = self.billing.dunning(policy) if policy else None
        program.billing = self.billing.settings()
        program.connections = {
            name: constant(node.data, symbols) for name, node in symbols.connections.items()
        }
        program.directories = {
            name: lower_directory(node, symbols) for name, node in symbols.directories.items()
        }
        program.sign_ins = {n: lower_sign_in(s, symbols) for n, s in symbols.sign_ins.items()}
        program.titles = {
            "meter": _titles(symbols.meters), "coupon": _titles(symbols.coupons),
            "tax": _titles(symbols.taxes),
        }  # fmt: skip
        settings = symbols.business.settings if symbols.business else ()
        program.bounds = Bounds(
            **{s.key: constant(s.value, symbols) for s in settings if s.key in _BOUNDS}
        )
        for setting in settings:
            if setting.key in ABOUT and isinstance(setting.value, ast.Text):
                program.about[setting.key] = "".join(
                    part if isinstance(part, str) else placeholder(part)
                    for part in setting.value.parts
                )


def _titles(declared: Mapping[str, ast.Meter | ast.Coupon | ast.Tax]) -> dict[str, str]:
    """What readers call them, by name, where that is said."""
    return {name: node.title for name, node in declared.items() if node.title}


def _policy(symbols: Symbols) -> ast.Dunning | None:
    """The dunning that the business block names, else the spec's first one, else a module's."""
    settings = symbols.business.settings if symbols.business else ()
    named = [" ".join(setting.words) for setting in settings if setting.key == "dunning"]
    if named and named[0] in symbols.dunnings:
        return symbols.dunnings[named[0]]
    policies = sorted(symbols.dunnings.values(), key=lambda node: in_std(node.span.file))
    return policies[0] if policies else None


def _indexed(entity: Entity, sets: Iterable[tuple[str, ...]]) -> Entity:
    """An entity with an index for each set of fields that its rows are found by.

    Where one of them is unique by itself, that finds the row.
    """
    known_by = {entity.key, *entity.uniques}
    fresh = [s for s in sets if known_by.isdisjoint(s) and s not in entity.found_by]
    return replace(entity, indexes=(*entity.indexes, *dict.fromkeys(fresh)))


def _body(node: ast.On) -> tuple[ast.Stmt, ...]:
    """A handler's statements; `on … across tenants` lifts the filter from all of them."""
    return (ast.AcrossTenants(node.span, node.body),) if node.across_tenants else node.body


def _self(entity: str) -> EntityType:
    type_ = known(EntityType(entity))
    assert isinstance(type_, EntityType)
    return type_


def _named(pattern: ast.EventPattern) -> ast.EventPattern:
    return ast.EventPattern(pattern.span, pattern.types, EVENT, pattern.fields, pattern.where)


_FRONT = re.compile(r"---[ \t]*\n(.*?)\n---[ \t]*(?:\n|$)", re.DOTALL)
_HEADER = re.compile(r"(subject:[^\n]*)\n\s*\n", re.IGNORECASE)


def template_file(name: str, text: str, file: str) -> Template:
    """A Markdown template behind what says its parts: `subject: …` between two lines of dashes,
    or as the first line before an empty one, as in a message."""
    text = text.replace("\r\n", "\n")
    parts = {}
    if front := _FRONT.match(text) or _HEADER.match(text):
        text = text[front.end() :]
        for line in front[1].splitlines():
            key, _, value = line.partition(":")
            value = value.strip()
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
            parts[key.strip().lower()] = value[1:-1] if quoted else value
    parts["body"] = text.lstrip("\n")
    return Template(name, parts, file)
