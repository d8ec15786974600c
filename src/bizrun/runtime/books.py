"""What handlers may not write: the books that billing keeps."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import Refusal
from ..model import BILLED, BOOKS


def check_books(entity: str, changes: Iterable[str] = ()) -> None:
    """Refuses a handler that would write the books: only what moves money does."""
    if entity == "Ledger":
        raise Refusal("the ledger is written by billing alone")
    for name in changes:
        if entity == "Subscription" and name in BILLED:
            raise Refusal(
                f"Subscription.{name} is changed by billing alone: `change_plan`, `set_quantity` "
                "and the other actions bill what follows"
            )
        if name in BOOKS.get(entity, ()):
            raise Refusal(
                f"{entity}.{name} is written by billing alone: a final invoice never changes, "
                "`credit_note`, `void_invoice` and `refund` correct it"
            )


def check_kept(entity: str) -> None:
    """Refuses to delete what the books and the numbers of invoices stand on."""
    if entity == "Ledger" or entity in BOOKS:
        raise Refusal(f"{entity} is part of the books: what it says is not deleted")
