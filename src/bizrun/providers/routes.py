"""Which provider an effect asks for, where more than one could serve it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model import Effect
from . import mailboxes
from .ai import maker


def preferred(effect: Effect, to: str | None) -> str | None:
    """The provider that an effect names: by `via`, by its model, or by whom `notify` goes to;
    None where any will do."""
    data = effect.data
    if effect.kind == "notify":
        return channel(to)
    if effect.kind == "ai.embed":
        return "openai"
    if effect.kind.startswith("ai."):
        return maker(data.get("model"))
    via = data.get("via")
    return via if isinstance(via, str) else None


def addressee(effect: Effect, block: Mapping[str, Any]) -> str | None:
    """Whom `notify` means: `to` itself, or what `connect notify` says of that name, or of
    `default`; a row by its `email`."""
    if effect.kind != "notify":
        return None
    to = effect.data.get("to")
    found = block.get(str(to))
    name = effect.data.get("address") or to
    if found is None and channel(str(name)) is None:
        found = block.get("default")
    return str(found if isinstance(found, str) else name)


def channel(to: str | None) -> str | None:
    """The provider of an address: mail, `#channel` of Slack, or a webhook."""
    if to is None:
        return None
    if to.startswith("#"):
        return "slack"
    if to.startswith(("https://", "http://")):
        return "webhook"
    return "smtp" if mailboxes.valid(to) else None
