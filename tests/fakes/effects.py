"""Effects and calls as the outbox's worker makes them, for tests of one provider alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from bizrun.model import Effect
from bizrun.providers.base import Call
from bizrun.providers.secrets import Secrets

NOW = datetime(2026, 1, 31, 9, tzinfo=UTC)
KEY = "0123456789abcdef" * 4


def env(name: str) -> dict[str, Any]:
    """`env("NAME")` as a spec's lowered block has it."""
    return {"call": "env", "args": [name]}


def effect(kind: str, key: str = KEY, **data: Any) -> Effect:
    """An effect of one day in January."""
    return Effect(key, kind, data, NOW, "evt_1", "spec.biz:1")


def call(
    name: str,
    block: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    seconds: int = 10,
    message: bytes | None = None,
    key: str = KEY,
) -> Call:
    """A call with the settings of a connection."""
    secrets = Secrets(name, block or {}, environment or {})
    span = timedelta(seconds=seconds)
    return Call(key, secrets, datetime.now(UTC), span, message=message)
