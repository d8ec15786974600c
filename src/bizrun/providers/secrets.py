"""Secrets: read from the environment when something is sent, and never printed.

A spec says `env("STRIPE_API_KEY")`; what stands in the state, in logs and in errors is at most
that name. `Secrets` remembers what it gave out, so that texts from outside can be scrubbed of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from ..errors import ProviderError
from ..values import Duration

HIDDEN = "***"
# Shorter values are no secrets, and would tear ordinary words apart.
SHORTEST = 6


def _parts(text: str) -> list[str]:
    parts = text.split()
    return parts if all(part.startswith("whsec_") for part in parts) else [text]


class Secret:
    """A text that shows itself only to who asks with `reveal`; it can't be printed or pickled."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text, for a header or a login: never for a message."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, _: str) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret can't be stored")


class Secrets:
    """The settings of one connection, resolved when they are asked for.

    `connection` is a `connect` block as it was lowered: `env("X")` is the map
    `{"call": "env", "args": ["X"]}` there. What it does not say comes from the variable that the
    provider names.
    """

    def __init__(
        self, name: str, connection: Mapping[str, Any], environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self._connection = connection
        self._environment = environment
        self._given: set[str] = set()

    def __repr__(self) -> str:
        return f"Secrets({self.name})"

    def find(self, key: str, variable: str | None = None) -> Secret | None:
        """A secret of the block, else of the environment; None where neither has it."""
        value = self._connection.get(key)
        if value is None and variable is not None:
            value = {"call": "env", "args": [variable]}
        return self.resolve(value)

    def need(self, key: str, variable: str | None = None) -> Secret:
        """The same; ProviderError that names what to set where it is missing."""
        found = self.find(key, variable)
        if found is None:
            raise ProviderError(f"{self.name} needs `{key}`: {self.missing(key, variable)}.")
        return found

    def several(self, key: str, variable: str | None = None) -> list[Secret]:
        """The same where there may be more than one, as while it is changed: a list in the block,
        or several `whsec_…` with blanks between."""
        value = self._connection.get(key)
        if isinstance(value, list):
            given = [found for item in value if (found := self.resolve(item)) is not None]
            if not given:
                raise ProviderError(f"{self.name} needs `{key}`: set the variables that it names.")
        else:
            given = [self.need(key, variable)]
        return [self._remember(text) for one in given for text in _parts(one.reveal())]

    def missing(self, key: str, variable: str | None = None) -> str:
        """What to do where a setting is missing."""
        match self._connection.get(key):
            case {"call": "env", "args": [str() as named]}:
                return f"set the environment variable {named}"
        if variable is not None:
            return f"set the environment variable {variable}"
        return f'write `{key}: env("…")` in its `connect` block'

    def named(self, key: str, variable: str | None = None) -> str:
        """What a setting is called where it was written: its variable, or its key in the block."""
        match self._connection.get(key):
            case {"call": "env", "args": [str() as name]}:
                return name
            case None if variable is not None:
                return variable
        return f"`{key}` of `connect {self.name}`"

    def from_environment(self, key: str) -> bool:
        """Whether a setting stands in the environment, by the block or without one."""
        value = self._connection.get(key)
        return value is None or (isinstance(value, Mapping) and value.get("call") == "env")

    def resolve(self, value: Any) -> Secret | None:
        """The value of a setting: `env("X")` is read now, a text stands for itself."""
        match value:
            case {"call": "env", "args": [str() as name]}:
                found = self._environment.get(name)
                if not found:
                    return None
                return self._remember(found)
            case str() if value:
                return self._remember(value)
        return None

    def text(self, key: str, variable: str | None = None) -> str | None:
        """A setting that is no secret, such as an address."""
        match self._connection.get(key):
            case {"call": "env", "args": [str() as name]}:
                return self._environment.get(name) or None
            case str() as text if text:
                return text
            case None if variable is not None:
                return self._environment.get(variable) or None
        return None

    def value(self, key: str) -> Any:
        """A setting as it stands in the block: a number, a duration, `bearer(…)`."""
        return self._connection.get(key)

    def duration(self, key: str) -> Duration | None:
        """A setting that is a duration."""
        value = self._connection.get(key)
        return value if isinstance(value, Duration) else None

    def _remember(self, text: str) -> Secret:
        if len(text) >= SHORTEST:
            self._given.add(text)
        return Secret(text)

    def scrub(self, value: Any) -> Any:
        """A value from outside, with `***` wherever a secret that was given out stands in it."""
        match value:
            case str():
                for secret in sorted(self._given, key=len, reverse=True):
                    value = value.replace(secret, HIDDEN)
                return value
            case dict():
                return {self.scrub(k): self.scrub(v) for k, v in value.items()}
            case list() | tuple():
                return [self.scrub(item) for item in value]
        return value
