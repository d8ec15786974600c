"""Drafts that an author makes final before their grace is over."""

from __future__ import annotations

from typing import Any

from ..errors import Refusal
from . import renewals
from .desk import Desk


def finalize_invoice(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`finalize_invoice { invoice }`: a draft becomes final now, as at the end of its grace.

    What comes later for its period is a correction (BILLING.md, Usage). Refused of what is no
    draft.
    """
    row = desk.row("Invoice", args["invoice"])
    if row["status"] != "draft":
        raise Refusal(f"invoice {row['number'] or row['id']} is {row['status']}, and no draft")
    desk.drop_timer(f"draft|{row['id']}")
    renewals.draft_due(desk, row["id"])
    return str(row["id"])
