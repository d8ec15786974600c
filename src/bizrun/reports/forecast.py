"""How the business goes on: MRR and recognised revenue along their lines of the last months."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from ..errors import UsageError
from ..ir.estimates import MAX_MONTHS, forecast
from ..store.base import Store
from ..times import local_date
from ..values import Money
from .figures import Figures, Span, next_month
from .metrics import mrr
from .revenue import revenue

_COLUMNS = ("month", "currency", "mrr", "recognised", "arr", "forecast")
_NOTE = (
    "forecast: along the straight line of least squares, never below nothing; mrr: of all months, "
    "recognised: of the whole ones"
)


def outlook(store: Store, span: Span, months: int) -> Figures:
    """The months of a span as they were, and as many ahead, by currency.

    `span` ends with the month of the state's clock; what that month recognises is not known before
    its end, so it is of the line. UsageError where `months` is out of bounds.
    """
    if not 1 <= months <= MAX_MONTHS:
        raise UsageError(f"--months takes 1 to {MAX_MONTHS}, not {months}.")
    recurring, earned = mrr(store, span).rows, revenue(store, span).rows
    currencies = sorted({row["currency"] for row in (*recurring, *earned)})
    rows = [
        row
        for currency in currencies
        for row in _of_currency(
            span,
            months,
            currency,
            {row["month"]: row["mrr"] for row in recurring if row["currency"] == currency},
            {row["month"]: row["recognised"] for row in earned if row["currency"] == currency},
        )
    ]
    rows.sort(key=lambda row: (row["month"], row["currency"]))
    return Figures("Forecast", _COLUMNS, tuple(rows), _NOTE)


def _of_currency(
    span: Span, months: int, currency: str, recurring: dict[str, Money], earned: dict[str, Money]
) -> Iterator[dict[str, Any]]:
    nothing = Money(0, currency)
    past = [month.name for month in span.months()]
    whole = past if _is_over(span) else past[:-1]
    known = [recurring.get(name, nothing) for name in past]
    got = [earned.get(name, nothing) for name in whole]
    ahead = list(_names(span.last, months))
    line = _along(known, months)
    income = _along(got, months + len(past) - len(whole)) if got else [nothing] * (months + 1)
    for place, name in enumerate([*past, *ahead]):
        of_mrr = [*known, *line][place]
        yield {
            "month": name, "currency": currency, "mrr": of_mrr,
            "recognised": [*got, *income][place], "arr": of_mrr * 12,
            "forecast": place >= len(past),
        }  # fmt: skip


def _is_over(span: Span) -> bool:
    """Whether the last month of a span lies behind the state's clock as a whole."""
    return local_date(span.clock, span.tz) >= next_month(span.last)


def _names(last: date, months: int) -> Iterator[str]:
    day = next_month(last)
    for _ in range(months):
        yield f"{day:%Y-%m}"
        day = next_month(day + timedelta(days=1))


def _along(series: Sequence[Money], months: int) -> list[Money]:
    """The line of a series, cut where it would go below nothing."""
    nothing = Money(0, series[0].currency)
    return [max(value, nothing) for value in forecast(list(series), months)]
