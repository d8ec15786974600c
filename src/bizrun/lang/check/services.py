"""What connects a spec with the outside: api, roles, connections, experiments, metrics, tests."""

from __future__ import annotations

import re

from ...diagnostics import Label, did_you_mean
from .. import ast
from ..types import AnyType, Type, known, type_text
from ..walk import walk_code
from .connections import check_connect
from .context import nearest
from .events import snake
from .facts import Facts, listed
from .rights import covers

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_PLACE = re.compile(r"\{([^}]*)\}|/:(\w+)")


def check_services(facts: Facts) -> None:
    """Checks each declaration that the outside, or a person running tests, will meet."""
    _check_routes(facts)
    for connect in facts.all(ast.Connect):
        check_connect(connect, facts)
    customers = ["customer", *(snake(name) for name in facts.symbols.entities)]
    for role in facts.all(ast.Role):
        _check_rights(role, facts)
    for experiment in facts.all(ast.Experiment):
        by = experiment.by.partition(".")[0]
        if by not in customers and nearest(by, customers)[0]:
            text = f"`{by}` is nothing that an experiment could tell apart"
            facts.report.add("E0833", experiment.name_span, text, help=facts.near(by, customers))
        _check_experiment(experiment, facts)
    recorded = {record.metric for record in facts.records}
    for metric in facts.all(ast.Metric):
        if metric.value is None and metric.name not in recorded and not facts.lost(metric.name):
            text = f"Metric `{metric.name}` has no value and nothing records it"
            hint = f"write `= …` behind it, or `record {metric.name} …` in a handler"
            facts.warn("W0820", metric.name_span, text, help=hint)
    _check_tests(facts)


# --- api and roles -----------------------------------------------------------------------------


def _check_routes(facts: Facts) -> None:
    seen: dict[tuple[str, str], ast.Api] = {}
    for api in facts.all(ast.Api):
        if api.method not in METHODS:
            near = did_you_mean(api.method.upper(), METHODS)
            hint = f"did you mean `{near}`?" if near else f"methods: {listed(METHODS)}"
            text = f"`{api.method}` is no method of HTTP that an api can have"
            facts.report.add("E0813", api.span, text, help=hint)
        if not api.path.startswith("/"):
            hint = f'write `"/{api.path}"`'
            facts.report.add("E0812", api.span, "A path begins with `/`", help=hint)
        key = (api.method, _PLACE.sub("{}", api.path.rstrip("/")))
        first = seen.setdefault(key, api)
        if first is not api:
            text = f"`{api.method} {api.path}` stands twice"
            labels = (Label(first.span, "the first one"),)
            facts.report.add("E0810", api.span, text, labels=labels)
        _check_places(api, facts)
        for role in api.roles:
            _check_role(role, api, facts)


def _check_places(api: ast.Api, facts: Facts) -> None:
    """Each place of a path is a parameter, declared or a text: it needs a name of its own."""
    seen: set[str] = set()
    for braced, colon in _PLACE.findall(api.path):
        name = braced or colon
        if not name.isidentifier():
            text = f"`{{{braced}}}` in a path needs a name, like `{{id}}`"
            facts.report.add("E0811", api.span, text)
        elif name in seen:
            text = f"The path has two places called `{name}`"
            facts.report.add("E0811", api.span, text)
        seen.add(name)
    params = [param.name for param in api.params]
    for param in api.params:
        meant = None if param.name in seen else nearest(param.name, seen - set(params))[0]
        if meant is not None:
            text = f"`{param.name}` is no place of the path, and `{meant}` is no parameter"
            facts.report.add("E0811", param.span, text, help=f"did you mean `{meant}`?")


_EVERYTHING = frozenset(("all", "any", "anything", "everything"))


def _check_rights(role: ast.Role, facts: Facts) -> None:
    """`all` is a right like any other, which nobody asks for."""
    for right in role.can:
        if right.lower() in _EVERYTHING:
            text = f"`{right}` is a right of that name, not every right"
            facts.warn(
                "W0814", role.name_span, text, help="write `*`, or `pages.*` for all of a kind"
            )


def _check_role(role: str, api: ast.Api, facts: Facts) -> None:
    roles = facts.symbols.roles
    if "." in role:
        granted = [right for other in roles.values() for right in other.can]
        if any(covers(right, role) for right in granted):
            return
        text = f"No role can `{role}`"
        facts.report.add("E0814", api.span, text, help=facts.near(role, granted))
    elif role not in roles and not facts.lost(role):
        text = f"There is no role `{role}`"
        facts.report.add("E0814", api.span, text, help=facts.near(role, roles, "roles"))


# --- experiments and tests ----------------------------------------------------------------------


def _check_experiment(experiment: ast.Experiment, facts: Facts) -> None:
    seen: dict[str, ast.Variant] = {}
    first: tuple[ast.Variant, Type] | None = None
    for variant in experiment.variants:
        before = seen.setdefault(variant.name, variant)
        if before is not variant:
            text = f"There are two variants `{variant.name}`"
            labels = (Label(before.span, "the first one"),)
            facts.report.add("E0831", variant.span, text, labels=labels)
        type_ = known(facts.checked.type_of(variant.value))
        if isinstance(type_, AnyType):
            continue
        first = first or (variant, type_)
        if _family(type_) != _family(first[1]):
            text = f"This variant is {type_text(type_)}, others are {type_text(first[1])}"
            labels = (Label(first[0].span, type_text(first[1])),)
            facts.report.add("E0832", variant.value.span, text, labels=labels)


def _family(type_: Type) -> str:
    text = type_text(type_)
    return "number" if text == "integer" else ("text" if text.startswith('"') else text)


def _check_tests(facts: Facts) -> None:
    expects = (ast.ExpectEffect, ast.ExpectTrue, ast.ExpectRejected)
    titles: dict[tuple[str, str], ast.Test] = {}
    for test in facts.all(ast.Test):
        first = titles.setdefault((test.span.file, test.title), test)
        if first is not test:
            labels = (Label(first.span, "the first one"),)
            text = f'There are two tests "{test.title}"'
            facts.warn("W0830", test.span, text, labels=labels)
        if not facts.damaged(test) and not any(isinstance(n, expects) for n in walk_code(test)):
            text = f'The test "{test.title}" expects nothing, so it can\'t fail'
            facts.warn("W0831", test.span, text, help="add `expect …`")
