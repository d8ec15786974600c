"""A request and its answer, as the handlers of paths see them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .problems import JSON, Headers


@dataclass(frozen=True, slots=True)
class Request:
    """A request on its way: `headers` by name in small letters, the last of several."""

    scope: Any
    headers: Mapping[bytes, bytes]
    receive: Callable[[], Awaitable[Any]]
    send: Callable[[Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer."""

    body: bytes
    kind: bytes = JSON
    status: int = 200
    headers: Headers = field(default_factory=list)


# Gives an answer, or None where it has sent one itself.
Handler = Callable[[Request], Awaitable[Response | None]]
