"""Numbers of invoices and credit notes: gapless within each series."""

from __future__ import annotations

from ..billing import numbering, periods
from .desk import Desk


def next_number(desk: Desk, format_: str) -> str:
    """The next number of a format's series: taken in the commit that issues the document."""
    day = periods.local_day(desk.now, desk.program.timezone)
    series = numbering.series(format_, day)
    held = desk.peek("_number", series)
    last = held["last"] + 1 if held else 1
    desk.put("_number", series, {"id": series, "last": last})
    return numbering.invoice_number(format_, day, last)
