"""A report as a picture: lines over the months, as SVG that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from xml.sax.saxutils import escape

from ..errors import UsageError
from ..values import Money, Percent
from .figures import Figures

# Which columns of a report are worth a line.
LINES = ("mrr", "recognised", "invoiced", "deferred", "customer_churn", "revenue_churn")
COLOURS = ("#2563eb", "#16a34a", "#d97706", "#9333ea", "#dc2626", "#0891b2")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 880, 420, 90, 24, 56, 60
STEPS = 4

Series = tuple[str, list[Decimal | None]]


def plotted(figures: Figures) -> str:
    """The SVG of a report by month; UsageError for one that isn't, or has no rows."""
    if "month" not in figures.columns:
        raise UsageError(f"There is nothing to plot over time in: {figures.title}.")
    months = list(dict.fromkeys(row["month"] for row in figures.rows))
    series = _series(figures, months)
    if not months or not series:
        raise UsageError("There is nothing to plot yet.")
    values = [value for _, line in series for value in line if value is not None]
    low, high = _bounds(values)
    body = "\n".join(
        [*_frame(figures.title), *_grid(low, high), *_months(months), *_drawn(series, low, high)]
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12">\n{body}\n</svg>\n'
    )


def _series(figures: Figures, months: Sequence[str]) -> list[Series]:
    currencies = list(dict.fromkeys(row["currency"] for row in figures.rows))
    names = [name for name in LINES if name in figures.columns]
    if names[:1] == ["mrr"] and "customer_churn" in names:
        names.remove("mrr")  # shares and money have no axis in common
    found = []
    for currency in currencies:
        rows = {row["month"]: row for row in figures.rows if row["currency"] == currency}
        for name in names:
            line = [_number(rows[m][name]) if m in rows else None for m in months]
            found.append((f"{name.replace('_', ' ')} {currency}", line))
    return found


def _number(value: object) -> Decimal | None:
    match value:
        case Money(amount=amount):
            return amount
        case Percent(rate=rate):
            return rate * 100
    return None


def _bounds(values: Sequence[Decimal]) -> tuple[Decimal, Decimal]:
    low, high = min([*values, Decimal(0)]), max([*values, Decimal(0)])
    return low, high if high > low else low + 1


def _frame(title: str) -> Iterator[str]:
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    yield f'<text x="{LEFT}" y="24" font-size="16" font-weight="bold">{escape(title)}</text>'


def _grid(low: Decimal, high: Decimal) -> Iterator[str]:
    for step in range(STEPS + 1):
        value = low + (high - low) * step / STEPS
        y = _y(value, low, high)
        yield (
            f'<line x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}" stroke="#e5e7eb"/>'
            f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{_short(value)}</text>'
        )


def _short(value: Decimal) -> str:
    places = Decimal(1) if abs(value) >= 100 else Decimal("0.1")
    return f"{value.quantize(places):,f}"


def _months(months: Sequence[str]) -> Iterator[str]:
    every = max(1, len(months) // 12)
    for place in range(0, len(months), every):
        yield (
            f'<text x="{_x(place, len(months))}" y="{HEIGHT - BOTTOM + 20}" '
            f'text-anchor="middle">{months[place]}</text>'
        )


def _drawn(series: Sequence[Series], low: Decimal, high: Decimal) -> Iterator[str]:
    for number, (name, line) in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        points = [
            f"{_x(place, len(line))},{_y(value, low, high)}"
            for place, value in enumerate(line)
            if value is not None
        ]
        yield (
            f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" '
            'stroke-width="2"/>'
        )
        x, y = LEFT + number % 4 * 190, HEIGHT - 24 + number // 4 * 16
        yield (
            f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{colour}"/>'
            f'<text x="{x + 16}" y="{y}">{escape(name)}</text>'
        )


def _x(place: int, count: int) -> Decimal:
    room = WIDTH - LEFT - RIGHT
    share = Decimal(place) / (count - 1) if count > 1 else Decimal("0.5")
    return (LEFT + room * share).quantize(Decimal("0.1"))


def _y(value: Decimal, low: Decimal, high: Decimal) -> Decimal:
    room = HEIGHT - TOP - BOTTOM
    return (TOP + room * (high - value) / (high - low)).quantize(Decimal("0.1"))
