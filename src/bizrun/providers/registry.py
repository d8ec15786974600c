"""Which provider serves which effects: one line each, imported when the first one is sent.

A provider is a module here with a class of `base.Provider`; its line says its name (that of its
`connect` block), what it serves, and the variables that configure it without a block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ..errors import UsageError
from ..model import Effect
from ..values import Duration
from .base import Limits, Provider
from .secrets import Secrets


@dataclass(frozen=True, slots=True)
class Entry:
    """A provider that there is. `kinds`: action names, or `stripe.*`; `needs`: the setting and
    the variable without which it is not configured; `extra`: the package that it needs, which
    the extra of its name installs."""

    name: str
    place: str
    kinds: tuple[str, ...]
    needs: tuple[str, str] | None = None
    extra: str | None = None


# The first that is configured serves a kind; what none serves goes to the sandbox.
PROVIDERS: tuple[Entry, ...] = (
    Entry(
        "stripe", "stripe:Stripe", ("charge", "refund", "transfer", "stripe.*"),
        ("key", "STRIPE_API_KEY"), "stripe",
    ),
)  # fmt: skip
SANDBOX = Entry("sandbox", "sandbox:SandboxProvider", ("*",))


class Registry:
    """The providers of one business: by its `connect` blocks and the environment."""

    def __init__(
        self,
        connections: Mapping[str, Mapping[str, Any]],
        environment: Mapping[str, str],
        entries: tuple[Entry, ...] = PROVIDERS,
    ) -> None:
        self._connections = connections
        self._environment = environment
        self._entries = entries
        self._made: dict[str, Provider] = {}
        self._secrets: dict[str, Secrets] = {}
        self._named: dict[str, str] = {}

    def of(self, effect: Effect) -> tuple[str, Provider, Secrets]:
        """The name that an effect's provider goes by (a connection's own), it, and its secrets."""
        entry = self.entry(effect.kind)
        root = effect.kind.partition(".")[0]
        name = root if root in self._connections and entry.name != "sandbox" else entry.name
        if name not in self._made:
            self._made[name] = _limited(_load(entry), self.secrets(name))
        return name, self._made[name], self.secrets(name)

    def entry(self, kind: str) -> Entry:
        """The provider that serves a kind: the first configured one, else the sandbox."""
        for entry in self._entries:
            if _serves(entry, kind, self._connections) and self.configured(entry):
                return entry
        return SANDBOX

    def configured(self, entry: Entry) -> bool:
        """Whether a provider has what it needs, by its block or by the environment."""
        if entry.needs is None or entry.name in self._connections:
            return True
        return self.secrets(entry.name).find(*entry.needs) is not None

    def secrets(self, name: str) -> Secrets:
        """The settings of a provider or connection."""
        found = self._secrets.get(name)
        if found is None:
            block = self._connections.get(name, {})
            found = self._secrets[name] = Secrets(name, block, self._environment)
        return found

    def check(self) -> None:
        """UsageError that names every setting without which a connected provider can't work."""
        missing = []
        for entry in self._entries:
            if entry.needs is not None and entry.name in self._connections:
                secrets = self.secrets(entry.name)
                if secrets.find(*entry.needs) is None:
                    how = secrets.missing(*entry.needs)
                    missing.append(f"`connect {entry.name}` has no {entry.needs[0]}: {how}.")
            if entry.extra and self.configured(entry) and find_spec(entry.extra) is None:
                install = f"pip install 'bizrun[{entry.name}]'"
                missing.append(f"`{entry.name}` needs the extra of that name: {install}.")
        if missing:
            raise UsageError(" ".join(missing))


def _serves(entry: Entry, kind: str, connections: Mapping[str, Any]) -> bool:
    """`<connection>.*` stands for the services of `connect` blocks that have no own provider."""
    root = kind.partition(".")[0]
    for served in entry.kinds:
        if served in (kind, f"{root}.*"):
            return True
        if served == "<connection>.*" and "." in kind and root in connections:
            return True
    return False


def _load(entry: Entry) -> Provider:
    module, _, name = entry.place.partition(":")
    make: Callable[[], Provider] = getattr(import_module(f"{__package__}.{module}"), name)
    return make()


_COUNTS = {"concurrency": "concurrency", "per_second": "per_second", "retries": "attempts"}
_TIMES = {"timeout": "timeout", "pause": "pause", "rest": "rest"}


def _limited(provider: Provider, secrets: Secrets) -> Provider:
    """A provider whose limits are what its block says; `retries: 3` are four attempts."""
    changes: dict[str, Any] = {}
    for key, name in _COUNTS.items():
        value = secrets.value(key)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            changes[name] = value + 1 if key == "retries" else max(value, 1)
    for key, name in _TIMES.items():
        value = secrets.duration(key)
        if value is not None and (span := _span(value)) is not None:
            changes[name] = span
    if changes:
        limits: Limits = replace(provider.limits, **changes)
        provider.limits = limits
    return provider


def _span(value: Duration) -> timedelta | None:
    """A duration of exact units; None for months, which have no length of their own."""
    found = timedelta(days=value.days, microseconds=value.micros)
    return found if not value.months and found > timedelta(0) else None
