"""Which provider serves which effects: one line each, imported when the first one is sent.

A provider is a module here with a class of `base.Provider`; its line says its name (that of its
`connect` block), what it serves, and the variables that configure it without a block.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ..errors import ProviderError, UsageError
from ..model import Effect, Outcome
from ..values import Duration
from . import settings
from .base import Call, Configured, Guarantee, Limits, Provider
from .routes import addressee, preferred
from .secrets import Secrets


@dataclass(frozen=True, slots=True)
class Entry:
    """A provider that there is. `kinds`: action names, or `stripe.*`; `needs`: the setting and
    the variable without which it is not configured, `instead` others that do as well; `extra`:
    the package that it needs, which the extra of its name installs."""

    name: str
    place: str
    kinds: tuple[str, ...]
    needs: tuple[str, str] | None = None
    extra: str | None = None
    instead: tuple[tuple[str, str | None], ...] = ()


# The first that is configured serves a kind; what none serves goes to the sandbox.
PROVIDERS: tuple[Entry, ...] = (
    Entry(
        "stripe", "stripe:Stripe", ("charge", "refund", "transfer", "stripe.*"),
        ("key", "STRIPE_API_KEY"), "stripe",
    ),
    Entry(
        "paypal", "paypal:PayPalProvider", ("charge", "refund", "transfer", "paypal.*"),
        ("client_id", "PAYPAL_CLIENT_ID"),
    ),
    Entry("smtp", "smtp:SmtpProvider", ("email", "notify"), ("url", "SMTP_URL"),
          instead=(("host", None),)),
    Entry("slack", "slack:SlackProvider", ("slack", "notify"), ("webhook", "SLACK_WEBHOOK_URL"),
          instead=(("url", None), ("token", None))),
    Entry("webhook", "webhook:WebhookProvider", ("webhook", "notify"),
          ("secret", "WEBHOOK_SECRET")),
    Entry("openai", "ai:OpenAi", ("ai.*",), ("key", "OPENAI_API_KEY"),
          instead=(("base", "OPENAI_BASE_URL"),)),
    Entry("anthropic", "ai:Anthropic", ("ai.*",), ("key", "ANTHROPIC_API_KEY"),
          instead=(("base", "ANTHROPIC_BASE_URL"),)),
    Entry("http", "http:HttpProvider", ("<connection>.*",)),
    Entry("http", "http:AnyHost", ("http",)),
)  # fmt: skip
SANDBOX = Entry("sandbox", "sandbox:SandboxProvider", ("*",))
# Money that is to go one way does not go another, nor into a sandbox.
MISSING = Entry("missing", "registry:Missing", ())
_MONEY = ("charge", "refund", "transfer")
# A block that is no service: whom `notify` means by a name.
FREE = ("notify",)


class Registry:
    """The providers of one business: by its `connect` blocks and the environment."""

    def __init__(
        self,
        connections: Mapping[str, Mapping[str, Any]],
        environment: Mapping[str, str],
        entries: tuple[Entry, ...] = PROVIDERS,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._tell = tell or (lambda _: None)
        self._told: set[str] = set()
        self._connections = connections
        self._environment = environment
        self._entries = entries
        self._made: dict[str, Provider] = {}
        self._secrets: dict[str, Secrets] = {}
        self._named: dict[str, str] = {}

    def of(self, effect: Effect) -> tuple[str, Provider, Secrets]:
        """The name that an effect's provider goes by (a connection's own), it, and its secrets."""
        entry = self.entry(effect.kind, preferred(effect, self.addressee(effect)))
        if entry is SANDBOX:
            self._say_unserved(effect.kind)
        root = effect.kind.partition(".")[0]
        own = entry.name == "http" and root in self._connections
        name = root if own else entry.name
        if name not in self._made:
            self._made[name] = _limited(_load(entry), self.secrets(name))
        return name, self._made[name], self.secrets(name)

    def _say_unserved(self, kind: str) -> None:
        """Says, once for a kind, that the sandbox answers it, and what would have it sent."""
        if kind in self._told:
            return
        self._told.add(kind)
        served = [entry for entry in self._entries if _serves(entry, kind, self._connections)]
        names = [entry.needs[1] for entry in served if entry.needs is not None]
        hint = f": set {' or '.join(names)} to have it sent" if names else ""
        self._tell(f"{kind} is not sent, the sandbox answers it{hint}")

    def addressee(self, effect: Effect) -> str | None:
        """Whom `notify` means: what `connect notify` says of a name, else the name itself."""
        return addressee(effect, self._connections.get("notify", {}))

    def entry(self, kind: str, name: str | None = None) -> Entry:
        """The provider that serves a kind: the one of that name, where it is configured; else the
        first configured one, else the sandbox.

        What names one of several on purpose (`via`, an address) is not served by another one.
        """
        served = [e for e in self._entries if _serves(e, kind, self._connections)]
        if name is not None and not kind.startswith("ai."):
            served = [entry for entry in served if entry.name == name]
        elif kind == "notify":
            served = []
        ready = [entry for entry in served if self.configured(entry)]
        chosen = [entry for entry in ready if entry.name == name]
        asked = MISSING if name is not None and kind in _MONEY else SANDBOX
        return next(iter(chosen or ready), asked)

    def configured(self, entry: Entry) -> bool:
        """Whether a provider has what it needs, by its block or by the environment."""
        return entry.needs is None or entry.name in self._connections or self._has(entry)

    def _has(self, entry: Entry) -> bool:
        secrets = self.secrets(entry.name)
        ways = (*((entry.needs,) if entry.needs else ()), *entry.instead)
        return any(secrets.find(*way) is not None for way in ways)

    def secrets(self, name: str) -> Secrets:
        """The settings of a provider or connection."""
        found = self._secrets.get(name)
        if found is None:
            block = self._connections.get(name, {})
            found = self._secrets[name] = Secrets(name, block, self._environment)
        return found

    def check(self, kinds: Collection[str] | None = None) -> None:
        """UsageError that names each setting that a configured provider lacks, or that can't be
        right, and what to write; nothing is called.

        `kinds`: what may be sent, all where None. A variable of the environment is nobody's mistake
        where nothing is sent by it; a `connect` block is always looked at.
        """
        asked = [e for e in self._entries if kinds is None or self._may_send(e, kinds)]
        wrong = [line for entry in asked for line in self._wrong(entry)]
        known = {entry.name for entry in self._entries}
        for name in self._connections:
            if name not in known and name not in FREE:
                wrong += self._unset(name) or settings.connection(self.secrets(name))
        if wrong:
            raise UsageError(" ".join(dict.fromkeys(wrong)))

    def _may_send(self, entry: Entry, kinds: Collection[str]) -> bool:
        return entry.name in self._connections or any(
            _serves(entry, kind, self._connections) for kind in kinds
        )

    def _wrong(self, entry: Entry) -> Iterator[str]:
        if not self.configured(entry):
            return
        if entry.extra and find_spec(entry.extra) is None:
            install = f"pip install 'bizrun[{entry.name}]'"
            yield f"`{entry.name}` needs the extra of that name: {install}."
        if entry.needs is not None and not self._has(entry):
            how = self.secrets(entry.name).missing(*entry.needs)
            yield f"`connect {entry.name}` has no {entry.needs[0]}: {how}."
        elif entry.needs is not None:
            yield from settings.faults(entry.name, self.secrets(entry.name))

    def _unset(self, name: str) -> list[str]:
        """The variables that a service of the spec's own names, and that nothing sets."""
        block = self._connections[name]
        return [
            f"`connect {name}` has no {key}: set the environment variable {variable}."
            for key in ("url", "auth", "headers")
            for variable in _variables(block.get(key))
            if not self._environment.get(variable)
        ]


class Missing:
    """Stands for a processor that an effect names and nothing configures: it waits for a person."""

    name = "missing"

    def __init__(self) -> None:
        self.limits = Limits()

    def guarantee(self, effect: Effect) -> Guarantee:
        """Nothing is sent."""
        return "idempotent"

    def deliver(self, effect: Effect, call: Call) -> Outcome:
        """Says what is missing."""
        via = effect.data.get("via")
        raise ProviderError(f"it is to go by {via}, and {via} is not configured")

    def read_back(self, effect: Effect, call: Call) -> Outcome | None:
        """Nothing was sent."""
        return None


def _variables(value: Any) -> list[str]:
    """The variables that a setting reads, also within `bearer(…)` and maps."""
    match value:
        case {"call": "env", "args": [str() as name]}:
            return [name]
        case dict():
            return [name for item in value.values() for name in _variables(item)]
        case list():
            return [name for item in value for name in _variables(item)]
    return []


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
    try:
        make: Callable[[], Provider] = getattr(import_module(f"{__package__}.{module}"), name)
    except ImportError as error:
        raise UsageError(
            f"{entry.name} needs the `{entry.name}` extra (no {error.name}): pip install "
            f"'bizrun[{entry.name}]'."
        ) from None
    return make()


_COUNTS = {"concurrency": "concurrency", "per_second": "per_second", "retries": "attempts"}
_TIMES = {"timeout": "timeout", "pause": "pause", "longest": "longest", "rest": "rest"}


def _limited(provider: Provider, secrets: Secrets) -> Provider:
    """A provider whose limits are what its block says; `retries: 3` are four attempts."""
    if isinstance(provider, Configured):
        provider.configure(secrets)
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
