"""What a provider is: it serves kinds of effects, and answers in one vocabulary.

A provider knows one system of the outside world and nothing of the engine. It is called from
several threads at once, outside any transaction, and may be called again for the same effect:
the worker decides when (`runtime.delivery`), by what the provider says of its guarantee.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, runtime_checkable

from ..model import Effect, Outcome
from ..values import Money
from .secrets import Secrets as Secrets

# What a repeated send does: the provider tells a repetition by its key; or it would do it twice,
# and the spec says which is worse, once too often or not at all.
Guarantee = Literal["idempotent", "at_least_once", "at_most_once"]


class NotSent(Exception):
    """The provider has certainly not done it: refused connection, 429, 503 before any work.

    `retry_after` is what the provider asked for, None where it did not say.
    """

    def __init__(self, reason: str, retry_after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class MaybeSent(Exception):
    """It may have been done: a time-out, a lost answer, a 500.

    `stored`: the provider answers the same under this key from now on, so that sending again
    tells nothing; the effect is read back first (RELIABILITY.md 7).
    """

    def __init__(
        self, reason: str, stored: bool = False, retry_after: timedelta | None = None
    ) -> None:
        super().__init__(reason)
        self.stored = stored
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Limits:
    """How a provider may be used; each can be set in its `connect` block.

    `concurrency` calls at once, `per_second` calls begun; a call ends after `timeout`. After
    `attempts` an effect is given up; between them the pause doubles from `pause` to `longest`.
    After `failures` in a row the circuit opens for `rest`. A key is good for `window` after it
    was first sent: older ones are read back before anything is sent again.
    """

    concurrency: int = 8
    per_second: int = 20
    timeout: timedelta = timedelta(seconds=30)
    attempts: int = 30
    pause: timedelta = timedelta(milliseconds=200)
    longest: timedelta = timedelta(minutes=5)
    failures: int = 8
    rest: timedelta = timedelta(seconds=2)
    window: timedelta = timedelta(hours=20)


@dataclass(frozen=True, slots=True)
class Call:
    """What a provider gets beside the effect.

    `key` is the idempotency key to send: the effect's id, or one derived from it where the
    provider was shown to have done nothing under the last one. `first` is when it was first sent
    (wall clock), `customer` the row of the effect's customer, `payee` that of who a transfer
    goes to. `message` is the email that was written for it, the same bytes in each try; `to` whom
    `notify` means, where the spec says so.
    """

    key: str
    secrets: Secrets
    first: datetime
    timeout: timedelta = timedelta(seconds=30)
    customer: Mapping[str, Any] | None = field(default=None, repr=False)
    payee: Mapping[str, Any] | None = field(default=None, repr=False)
    message: bytes | None = field(default=None, repr=False)
    to: str | None = None


class Provider(Protocol):
    """One system of the outside world. Add yours to `registry.PROVIDERS`."""

    name: str
    limits: Limits

    def guarantee(self, effect: Effect) -> Guarantee:
        """What sending this effect twice would do."""

    def deliver(self, effect: Effect, call: Call) -> Outcome:
        """Does it and says how it went: `succeeded`, `failed` with a code of our vocabulary, or
        `pending` where the provider tells later by a webhook.

        Raises NotSent or MaybeSent; anything else that it raises counts as MaybeSent.
        """

    def read_back(self, effect: Effect, call: Call) -> Outcome | None:
        """What the provider has of this effect, found by its metadata; None where it certainly
        has nothing; `unknown` where that can't be told. Raises as `deliver` does."""


@runtime_checkable
class Configured(Protocol):
    """A provider whose guarantee depends on its `connect` block."""

    def configure(self, secrets: Secrets) -> None:
        """Reads the block; called once, before anything is asked of the provider."""


@runtime_checkable
class Spread(Protocol):
    """A provider that calls many hosts, each of which may be down by itself: its limits are those
    of one host."""

    def host(self, effect: Effect, to: str | None) -> str:
        """Where an effect goes; `to` is whom `notify` means."""


@runtime_checkable
class Priced(Protocol):
    """A provider whose calls cost money, by how much is asked."""

    def cost(self, effect: Effect, secrets: Secrets) -> Money | None:
        """What a call costs at most; None where its connection sets no bound for a day."""


class Providers(Protocol):
    """Which provider serves an effect; see `registry.Registry`."""

    def of(self, effect: Effect) -> tuple[str, Provider, Secrets]:
        """The name that its provider goes by, the provider, and its settings."""

    def addressee(self, effect: Effect) -> str | None:
        """Whom `notify` means, by the spec; None for every other effect."""
