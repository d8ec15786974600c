"""A tree becomes the YAML form: sections of declarations, expressions as they were written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ...values import key, quoted
from .. import ast
from ..check.business import is_text
from ..printer import Printer
from .emit import emit
from .forms import DOC, SECTIONS
from .write_plans import plan_items
from .write_statements import map_data, open_text, plain_text, statements

Data = dict[str, Any]


def write_yaml(text: str, file: ast.File) -> str:
    """The YAML form of a file without mistakes, whose text it is given; comments are left out."""
    return emit(yaml_data(text, file))


def yaml_data(text: str, file: ast.File) -> Data:
    """The YAML form as mappings, lists and texts."""
    return _sections(Printer(text), file.declarations)


def _sections(to: Printer, declarations: Iterable[ast.Declaration]) -> Data:
    found: dict[str, list[tuple[str | None, Any]]] = {}
    nested: dict[str, list[ast.Given | ast.Override]] = {}
    for declaration in declarations:
        if isinstance(declaration, ast.Given | ast.Override):
            nested.setdefault(type(declaration).__name__.lower(), []).append(declaration)
            continue
        section, write = _WRITERS[_kind(declaration)]
        found.setdefault(section, []).append(write(to, declaration))
    data = {name: _section(name, entries) for name, entries in found.items()}
    data |= {word: _nested(to, inner) for word, inner in nested.items()}
    return {section.name: data[section.name] for section in SECTIONS if section.name in data}


def _nested(to: Printer, nodes: Iterable[ast.Given | ast.Override]) -> Data:
    """Sections within one; those of a file that is named below its name."""
    parts: dict[str | None, list[ast.Declaration]] = {}
    for node in nodes:
        path = node.path if isinstance(node, ast.Override) else None
        parts.setdefault(path, []).append(node.declaration)
    data = _sections(to, parts.pop(None, []))
    return data | {str(path): _sections(to, inner) for path, inner in parts.items()}


def _kind(declaration: ast.Declaration) -> str:
    if isinstance(declaration, ast.Entity) and declaration.extends:
        return "Extend"
    return type(declaration).__name__


def _section(name: str, entries: list[tuple[str | None, Any]]) -> Any:
    if name == "business":
        return entries[0][1]
    if all(key is None for key, _ in entries):
        return [value for _, value in entries]
    return {str(key): value for key, value in entries}


def _described(declaration: ast.Declaration, data: Data) -> Data:
    """A mapping with its description, where it has one."""
    return {DOC: declaration.doc, **data} if declaration.doc else data


def _said(declaration: ast.Declaration, value: Any) -> Any:
    """A declaration of lines, which has its description and its title beside `is`."""
    beside = {DOC: declaration.doc} if declaration.doc else {}
    title = getattr(declaration, "title", None)
    if title is not None:
        beside["name"] = plain_text(title)
    return {**beside, "is": value} if beside else value


def _one(values: list[str]) -> Any:
    """One line by itself, several as a list."""
    return values[0] if len(values) == 1 else values


# --- Files and entities ------------------------------------------------------------------------


def _use(to: Printer, use: ast.Use) -> tuple[str | None, Any]:
    path = use.path if use.std else plain_text(use.path)
    if not use.bindings:
        return None, path
    return None, {path: ", ".join(to.verbatim(binding) for binding in use.bindings)}


def _business(to: Printer, business: ast.Business) -> tuple[str | None, Any]:
    data: Data = {"name": plain_text(business.title)} if business.title else {}
    for setting in business.settings:
        written = to.verbatim(setting)[len(setting.key) :].strip()
        match setting.value:
            case ast.MapLiteral() as value if value.entries:
                data[setting.key] = map_data(to, value)
            case ast.Text() if is_text(setting.key):
                data[setting.key] = open_text(written)
            case _:
                data[setting.key] = written or None
    return None, _described(business, data)


def _fields(to: Printer, fields: Iterable[ast.FieldDecl]) -> Data:
    data: Data = {}
    for field in fields:
        written = to.field(field)
        data[field.name] = {"type": written, DOC: field.doc} if field.doc else written
    return data


def _entity(to: Printer, entity: ast.Entity) -> tuple[str | None, Any]:
    data: Data = {"append only": "true"} if entity.append_only else {}
    data |= _fields(to, entity.fields)
    indexes = [", ".join(name for name, _ in index.fields) for index in entity.indexes]
    if indexes:
        data["index"] = indexes[0] if len(indexes) == 1 else [[i] for i in indexes]
    return entity.name, _described(entity, data)


def _type(to: Printer, shape: ast.TypeDecl) -> tuple[str | None, Any]:
    return shape.name, _described(shape, _fields(to, shape.fields))


def _event(to: Printer, event: ast.EventDecl) -> tuple[str | None, Any]:
    data: Data = {"key": event.key[0]} if event.key else {}
    if event.fields:
        data["fields"] = _fields(to, event.fields)
    return event.name, _described(event, data)


# --- What is sold ------------------------------------------------------------------------------


def _plan(to: Printer, plan: ast.Plan | ast.Addon) -> tuple[str | None, Any]:
    title = {"name": plain_text(plan.title)} if plan.title is not None else {}
    return plan.name, _described(plan, {**title, **plan_items(to, plan.items)})


def _meter(to: Printer, meter: ast.Meter) -> tuple[str | None, Any]:
    events = " or ".join(name for name, _ in meter.events)
    of = f"{meter.field} of {events}" if meter.field else events
    data: Data = {"name": plain_text(meter.title)} if meter.title is not None else {}
    data[meter.aggregate] = of
    if meter.per:
        data["per"] = meter.per
    if meter.by:
        data["by"] = ", ".join(name for name, _ in meter.by)
    if meter.where:
        data["where"] = to.condition(meter.where)
    if meter.unit:
        data["unit"] = key(meter.unit)
    return meter.name, _described(meter, data)


def _coupon(to: Printer, coupon: ast.Coupon) -> tuple[str | None, Any]:
    head = f"{to.chain(coupon.off)} off"
    if coupon.duration:
        head += f" for {to.chain(coupon.duration)}"
    elif coupon.once:
        head += " once"
    parts = [head]
    parts += ["once per customer"] if coupon.once_per_customer else []
    parts += [f"until {to.chain(coupon.until)}"] if coupon.until else []
    parts += [f"at most {to.chain(coupon.times)} times"] if coupon.times else []
    parts += [f"only [{', '.join(name for name, _ in coupon.only)}]"] if coupon.only else []
    return coupon.name, _said(coupon, ", ".join(parts))


def _tax(to: Printer, tax: ast.Tax) -> tuple[str | None, Any]:
    if tax.rate is None:
        return tax.name, _said(tax, f"provider {tax.provider}")
    when = f" when {to.condition(tax.when)}" if tax.when else ""
    kind = "inclusive" if tax.inclusive else "exclusive"
    parts = [f"{to.chain(tax.rate)} {kind}{when}"]
    parts += [f"provider {tax.provider}"] if tax.provider else []
    return tax.name, _said(tax, _one(parts))


def _dunning(to: Printer, dunning: ast.Dunning) -> tuple[str | None, Any]:
    return dunning.name, _said(dunning, [_step(to, step) for step in dunning.steps])


def _step(to: Printer, step: ast.DunningStep) -> str:
    delays = ", ".join(map(to.chain, step.delays))
    match step.kind:
        case "retry_after":
            return f"retry after {delays}"
        case "retry_every":
            times = f", {step.times} times" if step.times is not None else ""
            return f"retry every {delays}{times}"
        case "retry_backoff":
            return f"retry backoff {delays} doubling {step.times} times"
        case "then":
            return f"then {step.action}"
    return f"{step.action} after {delays} more"


# --- What happens ------------------------------------------------------------------------------


def _lifecycle(to: Printer, lifecycle: ast.Lifecycle) -> tuple[str | None, Any]:
    data: Data = {}
    if lifecycle.start is not None:
        data["start"] = plain_text(lifecycle.start)
    data["arrows"] = [_arrow(to, arrow) for arrow in lifecycle.arrows]
    return f"{lifecycle.entity}.{lifecycle.field}", _described(lifecycle, data)


def _arrow(to: Printer, arrow: ast.Arrow) -> Data:
    source = "any" if arrow.source is None else plain_text(arrow.source)
    if arrow.source == "any":
        source = quoted("any")
    data: Data = {"from": source, "to": plain_text(arrow.target)}
    if arrow.on:
        return {**data, "on": to.pattern(arrow.on)}
    return {**data, "after": to.chain(arrow.after)} if arrow.after else data


def _trigger(to: Printer, trigger: ast.Trigger) -> tuple[str | None, Any]:
    data = {"for": trigger.entity, "when": to.condition(trigger.condition)}
    if trigger.once_per_period:
        data["once per"] = "period"
    return trigger.event, _described(trigger, data)


def _on(to: Printer, on: ast.On) -> tuple[str | None, Any]:
    pattern = on.pattern
    data: Data = {"event": " or ".join(name for name, _ in pattern.types)}
    if pattern.fields:
        data["fields"] = ", ".join(name for name, _ in pattern.fields)
    if pattern.name:
        data["as"] = pattern.name
    if pattern.where:
        data["where"] = to.condition(pattern.where)
    if on.across_tenants:
        data["across tenants"] = "true"
    return None, _described(on, {**data, "do": statements(to, on.body)})


def _every(to: Printer, every: ast.Every) -> tuple[str | None, Any]:
    data: Data
    match every.kind:
        case "cron":
            data = {"cron": plain_text(every.cron or "")}
        case "interval":
            data = {"every": to.expr(every.interval) if every.interval else ""}
        case _:
            data = {"every": every.unit}
    if every.on:
        data["on"] = "last day" if every.on == "last" else every.on
    if every.at:
        data["at"] = to.expr(every.at)
    if every.zone:
        data["in"] = plain_text(every.zone)
    if every.catch_up != "all":
        data["catch up"] = every.catch_up
    return None, _described(every, {**data, "do": statements(to, every.body)})


# --- Values and the outside ----------------------------------------------------------------------


def _params(to: Printer, params: Iterable[ast.Param]) -> Data:
    return {
        param.name: to.type(param.type) + (f" = {to.expr(param.default)}" if param.default else "")
        for param in params
    }


def _fn(to: Printer, fn: ast.Fn) -> tuple[str | None, Any]:
    data: Data = {"takes": _params(to, fn.params)} if fn.params else {}
    if fn.returns:
        data["gives"] = to.type(fn.returns)
    if fn.value is not None:
        data["value"] = to.expr(fn.value)
    else:
        data["do"] = statements(to, fn.body)
    return fn.name, _described(fn, data)


def _const(to: Printer, const: ast.Const) -> tuple[str | None, Any]:
    return const.name, _said(const, to.expr(const.value))


def _template(to: Printer, template: ast.Template) -> tuple[str | None, Any]:
    parts = {name: plain_text(text) for name, text, _ in template.parts}
    return template.name, _described(template, parts)


def _metric(to: Printer, metric: ast.Metric) -> tuple[str | None, Any]:
    data: Data = {"type": to.type(metric.type)} if metric.type else {}
    if metric.value is not None:
        data["value"] = to.expr(metric.value)
    if metric.every is not None:
        data["every"] = metric.every if isinstance(metric.every, str) else to.expr(metric.every)
    return metric.name, _described(metric, data)


def _api(to: Printer, api: ast.Api) -> tuple[str | None, Any]:
    path = plain_text(api.path)
    data: Data = {"api": f"{api.method} {path}"}
    if api.params:
        data["takes"] = _params(to, api.params)
    if api.caller:
        data["for"] = api.caller
    if api.roles:
        data["can"] = ", ".join(map(_permission, api.roles))
    return None, _described(api, {**data, "do": statements(to, api.body)})


def _permission(name: str) -> str:
    plain = all(part.isidentifier() or part == "*" for part in name.split("."))
    return name if plain else quoted(name)


def _role(to: Printer, role: ast.Role) -> tuple[str | None, Any]:
    return role.name, _said(role, [_permission(name) for name in role.can])


def _experiment(to: Printer, experiment: ast.Experiment) -> tuple[str | None, Any]:
    variants = {variant.name: to.chain(variant.value) for variant in experiment.variants}
    return experiment.name, _described(experiment, {"by": experiment.by, "variants": variants})


def _connect(to: Printer, connect: ast.Connect) -> tuple[str | None, Any]:
    return connect.name, _described(connect, map_data(to, connect.data))


def _for_entity(to: Printer, declaration: ast.Directory | ast.SignIn) -> tuple[str | None, Any]:
    data = {"for": declaration.entity, "with": map_data(to, declaration.data)}
    return declaration.name, _described(declaration, data)


def _test(to: Printer, test: ast.Test) -> tuple[str | None, Any]:
    data = {"test": plain_text(test.title), "do": statements(to, test.body)}
    return None, _described(test, data)


_WRITERS: dict[str, tuple[str, Callable[[Printer, Any], tuple[str | None, Any]]]] = {
    "Use": ("use", _use),
    "Business": ("business", _business),
    "Entity": ("entities", _entity),
    "Extend": ("extend", _entity),
    "TypeDecl": ("types", _type),
    "EventDecl": ("events", _event),
    "Plan": ("plans", _plan),
    "Addon": ("addons", _plan),
    "Meter": ("meters", _meter),
    "Coupon": ("coupons", _coupon),
    "Tax": ("taxes", _tax),
    "Dunning": ("dunning", _dunning),
    "Lifecycle": ("lifecycles", _lifecycle),
    "Trigger": ("triggers", _trigger),
    "On": ("on", _on),
    "Every": ("every", _every),
    "Fn": ("functions", _fn),
    "Const": ("constants", _const),
    "Template": ("templates", _template),
    "Metric": ("metrics", _metric),
    "Api": ("apis", _api),
    "Role": ("roles", _role),
    "Experiment": ("experiments", _experiment),
    "Connect": ("connect", _connect),
    "Directory": ("directory", _for_entity),
    "SignIn": ("sign_in", _for_entity),
    "Test": ("tests", _test),
}
