"""`postgresql://` addresses: what they say, and what of them may be shown."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode

from ..errors import UsageError

SCHEMES = ("postgresql", "postgres")
MISSING = "A state in PostgreSQL needs the `postgres` extra: pip install 'bizrun[postgres]'."

# Who signs in, the host, and the database stand before the question mark. As libpq reads them: a
# password may hold anything but a slash and an at sign, which are written %2F and %40.
_ADDRESS = re.compile(
    r"(?P<scheme>[A-Za-z]+)://(?:(?P<user>[^:@/]*)(?::[^@/]*)?@)?"
    r"(?P<place>[^/?]*)(?P<path>[^?]*)(?:\?(?P<query>.*))?",
    re.DOTALL,
)
# What libpq wonders after it has said what is wrong.
_ASKED = re.compile(r" (?:Is the server running|This probably means)[^.?]*[.?]")
_PORT = re.compile(r"(?:[^\[\]:@]*|\[[0-9A-Fa-f:.%]*\])(?::\d*)?")
SERVER = ("host", "port", "user", "dbname")
_SHOWN = (*SERVER, "schema")


def is_postgres(address: str) -> bool:
    """Whether an address is one of PostgreSQL."""
    return address.partition("://")[0].lower() in SCHEMES and "://" in address


def shown(address: str, parts: Container[str] = _SHOWN) -> str:
    """A state's address as it may be shown: without a password, and with these parts of what
    follows its question mark."""
    if not is_postgres(address):
        return address
    found = _ADDRESS.fullmatch(address)
    if found is None or "@" in found["path"] or not _is_place(found["place"]):
        return "postgresql://…"
    user = f"{found['user']}@" if found["user"] else ""
    pairs = [pair for pair in parse_qsl(found["query"] or "") if pair[0] in parts]
    query = f"?{urlencode(pairs, safe='/')}" if pairs else ""
    return f"postgresql://{user}{found['place']}{found['path']}{query}"


def _is_place(text: str) -> bool:
    return all(_PORT.fullmatch(part) for part in text.split(","))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a state is: libpq's connection parameters, the schema that the address names, and the
    address as it may be shown."""

    parameters: dict[str, str]
    schema: str | None
    name: str

    def scrubbed(self, text: str) -> str:
        """A text of the server or of libpq, in one line, without what is secret or only asked."""
        for name in ("password", "sslpassword"):
            if secret := self.parameters.get(name):
                text = text.replace(secret, "***")
        return _ASKED.sub("", " ".join(text.split()))


def place_of(address: str) -> Place:
    """What an address says; UsageError where it says nothing that can be used."""
    try:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict
    except ImportError:
        raise UsageError(MISSING) from None
    name = shown(address)
    found = _ADDRESS.fullmatch(address)
    query = "" if found is None else found["query"] or ""
    base = address[: len(address) - len(query)].removesuffix("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    schemas = [value for key, value in pairs if key == "schema"]
    if len(schemas) > 1 or "" in schemas:
        raise UsageError(f"{name} names no schema, or several: write one as ?schema=NAME.")
    rest = urlencode([pair for pair in pairs if pair[0] != "schema"], quote_via=quote)
    scheme, _, tail = base.partition("://")
    try:
        read = conninfo_to_dict(f"{scheme.lower()}://{tail}{'?' if rest else ''}{rest}")
    except ProgrammingError:
        # What libpq says may quote a part of the password.
        raise UsageError(
            f"{name} can't be read as an address: write postgresql://USER@HOST:PORT/DATABASE, "
            "with what is no letter or digit in a user's name or password as %40, %2F, %3A"
        ) from None
    parameters = {key: str(value) for key, value in read.items()}
    return Place(parameters, schemas[0] if schemas else None, name)
