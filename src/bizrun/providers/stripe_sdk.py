"""Stripe's SDK as a table of methods: `customers.create`, `billing.meter_events.create` and so on.

What there is, which ids a method takes and which parameters, is read from the SDK itself, so that
a new version of it needs no change here. The SDK is the extra `stripe`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

MISSING = "Stripe needs the `stripe` extra: pip install 'bizrun[stripe]'."
# Words of the SDK's request options, which stand among a method's parameters.
OPTIONS = frozenset({
    "api_key", "stripe_version", "stripe_account", "stripe_context", "max_network_retries",
    "idempotency_key", "content_type", "headers", "api_base", "http_client",
})  # fmt: skip
ALSO = frozenset({"stripe_account"})  # the one that a spec may give: act for a connected account


def available() -> bool:
    """Whether the extra is installed."""
    return find_spec("stripe") is not None


@dataclass(frozen=True, slots=True)
class Method:
    """One call: `ids` are its leading arguments, `params` the SDK's TypedDict (None: it takes no
    parameters), `required` those that must be given."""

    path: str
    ids: tuple[str, ...]
    params: Any
    required: frozenset[str]

    @property
    def fields(self) -> dict[str, Any]:
        """The parameters and their types, without the options of a request."""
        hints = parameter_types(self.params) if self.params is not None else {}
        return {name: type_ for name, type_ in hints.items() if name not in OPTIONS}


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no such method; `part` is what is wrong in the path, `names` what could stand
    there."""

    part: str
    names: tuple[str, ...]


@lru_cache(maxsize=512)
def method(path: str) -> Method | Missing:
    """The method that `stripe.<path>` calls."""
    service: Any = _root()
    *resources, name = path.split(".")
    for part in resources:
        below = _below(service)
        if part not in below:
            return Missing(part, tuple(below))
        service = _class(below[part])
    names, below = _methods(service), _below(service)
    if name in below:
        inner = _class(below[name])
        return Missing(name, tuple(f"{name}.{m}" for m in (_methods(inner) or _below(inner))))
    if name not in names or not resources:
        return Missing(name, tuple(names or below))
    return _method(path, service, getattr(service, name))


def _root() -> Any:
    return import_module("stripe._v1_services").V1Services


def _below(service: Any) -> Mapping[str, list[str]]:
    """The services in a service: the SDK names their modules and classes in a table."""
    found: Mapping[str, list[str]] = getattr(import_module(service.__module__), "_subservices", {})
    return found


def _class(place: list[str]) -> Any:
    return getattr(import_module(place[0]), place[1])


def _methods(service: Any) -> list[str]:
    return [
        name for name, found in vars(service).items()
        if inspect.isfunction(found) and not name.startswith("_") and not name.endswith("_async")
    ]  # fmt: skip


def _method(path: str, service: Any, function: Any) -> Method:
    names = [name for name in inspect.signature(function).parameters if name != "self"]
    ids = tuple(name for name in names if name not in ("params", "options"))
    annotation = function.__annotations__.get("params")
    if annotation is None:
        return Method(path, ids, None, frozenset())
    text = re.findall(r"\w+Params", str(annotation))[-1]
    package = "stripe.params" + service.__module__.removeprefix("stripe").rpartition(".")[0]
    params = getattr(import_module(package), text)
    required = frozenset(params.__required_keys__) - OPTIONS
    return Method(path, ids, params, required)


def parameter_types(params: Any) -> dict[str, Any]:
    """The fields of one of the SDK's TypedDicts with their types, those of its bases included."""
    from typing_extensions import get_type_hints

    return get_type_hints(params, localns=_names(), include_extras=False)


@lru_cache(maxsize=1)
def _names() -> dict[str, Any]:
    """What the SDK's annotations name without importing it where they stand."""
    import typing

    options = vars(import_module("stripe._request_options"))
    return {**vars(typing), **options, "StripeContext": str}


@lru_cache(maxsize=128)
def adapter(params: Any) -> Any:
    """What validates a request by a TypedDict: `adapter(p).validate_python(d, extra="forbid")`."""
    from pydantic import TypeAdapter
    from pydantic_core import core_schema

    # The SDK lets one of its objects stand for a map: pydantic is told what that is.
    untyped = import_module("stripe._stripe_object").UntypedStripeObject
    schema = core_schema.is_instance_schema(untyped)
    untyped.__get_pydantic_core_schema__ = classmethod(lambda cls, source, handler: schema)
    found: Any = TypeAdapter(params)
    found.rebuild(_types_namespace=_names())
    return found


def problems(path: str, given: Mapping[str, Any]) -> list[str]:
    """What Stripe would refuse in the parameters of a call; empty where it would take them."""
    from pydantic import ValidationError

    found = method(path)
    if isinstance(found, Missing):
        return [f"stripe.{path}: there is no `{found.part}`"]
    if found.params is None:
        return [f"stripe.{path} takes no `{name}`" for name in given]
    try:
        adapter(found.params).validate_python(dict(given), extra="forbid")
    except ValidationError as error:
        return [
            f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()
        ]
    return []
