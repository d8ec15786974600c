"""Ids of rows: a short word for the entity, and an instant's digits, which sort by time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@lru_cache(maxsize=1024)
def stamp(now: datetime) -> str:
    """The milliseconds of an instant, in digits that sort."""
    return f"{(now - _EPOCH) // _MILLISECOND:011x}"


_PREFIXES = {
    "Subscription": "sub", "Invoice": "inv", "InvoiceLine": "line", "Payment": "pay",
    "Refund": "ref", "PaymentDispute": "dis", "CreditNote": "cn", "Wallet": "wal",
}  # fmt: skip


def prefix_of(entity: str) -> str:
    """A short word for ids of an entity: `inv`, `sub`, `pay`, else its name in small letters."""
    return _PREFIXES.get(entity) or entity.lower()
