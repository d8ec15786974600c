"""A report as a picture: lines over the months, as SVG that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from xml.sax.saxutils import escape

from ..errors import UsageError
from ..values import Money, Percent, show
from .figures import Figures

# Which columns of a report are worth a line.
LINES = ("mrr", "recognised", "invoiced", "deferred", "customer_churn", "revenue_churn")
# The amounts of a report without months.
BARS = ("arpa", "ltv", "paid_per_payer")
COLOURS = ("#2563eb", "#16a34a", "#d97706", "#9333ea", "#dc2626", "#0891b2")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 880, 420, 90, 32, 56, 60
STEPS = 4

Series = tuple[str, list[Decimal | None]]


def plotted(figures: Figures) -> str:
    """The SVG of a report: lines over months, or over the months since sign-up of each cohort;
    bars where it has no months. UsageError for a report without figures to draw, or without rows.
    """
    if "ltv" in figures.columns:
        return _svg([*_frame(figures.title), *_bars(figures)])
    if "month" in figures.columns:
        months = list(dict.fromkeys(row["month"] for row in figures.rows))
        series = _series(figures, months)
    elif "cohort" in figures.columns:
        months = [name for name in figures.columns if name[1:].isdigit()]
        series = _cohorts(figures, months)
    else:
        raise UsageError(f"There is nothing to plot in: {figures.title}.")
    if not months or not series:
        raise UsageError("There is nothing to plot yet.")
    values = [value for _, line in series for value in line if value is not None]
    ticks = _ticks(min([*values, Decimal(0)]), max([*values, Decimal(0)]))
    unit = "%" if "cohort" in figures.columns or "customer_churn" in figures.columns else ""
    known = len(months) - len({row["month"] for row in figures.rows if row.get("forecast")})
    return _svg([
        *_frame(figures.title), *_grid(ticks, unit), *_months(months),
        *_drawn(series, ticks[0], ticks[-1], known),
    ])  # fmt: skip


def _svg(parts: Sequence[str]) -> str:
    body = "\n".join(parts)
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


def _cohorts(figures: Figures, months: Sequence[str]) -> list[Series]:
    """A line for each cohort: how many of it are left, in percent. Of many, every so many."""
    some = figures.rows[:: -(-len(figures.rows) // len(COLOURS)) or 1]
    return [(str(row["cohort"]), [_number(row.get(m)) for m in months]) for row in some]


def _bars(figures: Figures) -> Iterator[str]:
    """A bar for each amount that says what a customer is worth, by currency."""
    found = [
        (f"{name.replace('_', ' ')} {row['currency']}", amount, row[name])
        for row in figures.rows for name in BARS
        if (amount := _number(row[name])) is not None
    ]  # fmt: skip
    if not found:
        raise UsageError("There is nothing to plot yet.")
    most = max([*(amount for _, amount, _ in found), Decimal(1)])
    step = min(Decimal(70), Decimal(HEIGHT - TOP - 20) / len(found))
    for number, (name, amount, shown) in enumerate(found):
        y = (TOP + step * number).quantize(Decimal("0.1"))
        width = ((WIDTH - 2 * LEFT - 200) * amount / most).quantize(Decimal("0.1"))
        yield (
            f'<text x="{LEFT + 60}" y="{y + 18}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{LEFT + 70}" y="{y}" width="{width}" height="28" '
            f'fill="{COLOURS[number % len(COLOURS)]}"/>'
            f'<text x="{LEFT + 78 + width}" y="{y + 18}">{escape(show(shown))}</text>'
        )


def _number(value: object) -> Decimal | None:
    match value:
        case Money(amount=amount):
            return amount
        case Percent(rate=rate):
            return rate * 100
    return None


def _ticks(low: Decimal, high: Decimal) -> list[Decimal]:
    """Round values for an axis, a few, from at most the lowest to at least the highest."""
    rough = max(high - low, Decimal(1)) / STEPS
    unit = Decimal(1).scaleb(rough.adjusted())
    step = next(unit * round_ for round_ in (1, 2, 5, 10) if unit * round_ >= rough)
    first = (low / step).to_integral_value(ROUND_FLOOR)
    last = (max(high, low + 1) / step).to_integral_value(ROUND_CEILING)
    return [step * number for number in range(int(first), int(last) + 1)]


def _frame(title: str) -> Iterator[str]:
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    yield f'<text x="{LEFT}" y="24" font-size="16" font-weight="bold">{escape(title)}</text>'


def _grid(ticks: Sequence[Decimal], unit: str) -> Iterator[str]:
    for value in ticks:
        y = _y(value, ticks[0], ticks[-1])
        yield (
            f'<line x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}" stroke="#e5e7eb"/>'
            f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{value:,f}{unit}</text>'
        )


def _months(months: Sequence[str]) -> Iterator[str]:
    every = max(1, len(months) // 12)
    for place in range(0, len(months), every):
        yield (
            f'<text x="{_x(place, len(months))}" y="{HEIGHT - BOTTOM + 20}" '
            f'text-anchor="middle">{months[place]}</text>'
        )


def _drawn(series: Sequence[Series], low: Decimal, high: Decimal, known: int) -> Iterator[str]:
    """A line through the points of each series, broken where it goes on beyond what is known."""
    for number, (name, line) in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        points = [
            (place, _x(place, len(line)), _y(value, low, high))
            for place, value in enumerate(line)
            if value is not None
        ]
        past = [point[1:] for point in points if point[0] < known]
        ahead = [point[1:] for point in points if point[0] >= known - 1]
        yield _line(past, colour, "")
        if len(ahead) > 1:
            yield _line(ahead, colour, ' stroke-dasharray="5 4"')
        yield from (f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour}"/>' for x, y in past)
        x, y = LEFT + number % 4 * 190, HEIGHT - 24 + number // 4 * 16
        yield (
            f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{colour}"/>'
            f'<text x="{x + 16}" y="{y}">{escape(name)}</text>'
        )


def _line(points: Sequence[tuple[Decimal, Decimal]], colour: str, dashes: str) -> str:
    through = " ".join(f"{x},{y}" for x, y in points)
    return f'<polyline points="{through}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>'


def _x(place: int, count: int) -> Decimal:
    room = WIDTH - LEFT - RIGHT
    share = Decimal(place) / (count - 1) if count > 1 else Decimal("0.5")
    return (LEFT + room * share).quantize(Decimal("0.1"))


def _y(value: Decimal, low: Decimal, high: Decimal) -> Decimal:
    room = HEIGHT - TOP - BOTTOM
    return (TOP + room * (high - value) / (high - low)).quantize(Decimal("0.1"))
