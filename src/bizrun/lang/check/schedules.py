"""Schedules: days that there are, zones that there are, and cron lines that ever fire."""

from __future__ import annotations

from calendar import monthrange

from ...diagnostics import did_you_mean
from ...times import DAYS, RHYTHMS
from .. import ast
from .business import unknown_zone
from .facts import Facts, positive

CATCH_UP = ("all", "last")
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
# The longest each month gets: 2024 has a 29 February.
LONGEST = [monthrange(2024, month)[1] for month in range(1, 13)]
MACROS = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")


def check_schedules(facts: Facts) -> None:
    """Checks each schedule's rhythm, day, zone and way to catch up."""
    for every in facts.all(ast.Every):
        _check_place(every, facts)
        match every.kind:
            case "cron":
                _check_cron(every, facts)
            case "interval":
                _check_interval(every, facts)
            case _:
                _check_unit(every, facts)
                _check_day(every, facts)
        if every.zone is not None:
            problem = unknown_zone(every.zone)
            if problem:
                text = f"`{every.zone}` is no time zone"
                facts.report.add("E0804", every.span, text, help=problem)
        if every.catch_up not in CATCH_UP:
            near = did_you_mean(every.catch_up, CATCH_UP)
            hint = f"did you mean `catch up {near}`?" if near else "say `catch up last`"
            text = f"`catch up {every.catch_up}`: a schedule catches up `all` or the `last`"
            facts.report.add("E0805", every.span, text, help=hint)


def _check_place(every: ast.Every, facts: Facts) -> None:
    """Reports a day or a time of day of what has its own, where it would be passed over."""
    rhythm = f"every {every.unit}"
    exact = every.unit in ("minute", "hour")
    if every.kind == "cron":
        rhythm, exact = f'every "{every.cron}"', True
    elif every.kind == "interval":
        value = facts.fold(every.interval)
        rhythm = f"every {value.value}" if value else "every …"
        exact = value is not None and value.type == "duration" and not value.value.days
    if every.at is not None and exact:
        text = f"`{rhythm}` takes no time of day"
        hint = 'write `every day at 09:00`, or a cron line like `every "*/15 9-17 * * *"`'
        facts.report.add("E0807", every.span, text, help=hint)
    if every.on is not None and every.kind != "calendar":
        text = f"`{rhythm}` takes no day of its own"
        hint = "write `every monday`, `every month on 1` or a cron line; an interval of days or "
        facts.report.add("E0802", every.span, text, help=f"{hint}weeks counts from its first day")


def _check_interval(every: ast.Every, facts: Facts) -> None:
    value = facts.fold(every.interval)
    if value is None:
        return
    if value.type != "duration" or not positive(value):
        text = "A schedule repeats after a duration like `15 minutes`"
        facts.report.add("E0803", value.span, text)
    elif value.value.months:
        text = f"`every {value.value}` does not say on which day"
        hint = 'write `every month on 1`, or a cron line like `every "0 0 1 */3 *"`'
        facts.report.add("E0803", value.span, text, help=hint)


def _check_unit(every: ast.Every, facts: Facts) -> None:
    if every.unit in RHYTHMS:
        return
    near = did_you_mean(str(every.unit), RHYTHMS)
    hint = f"did you mean `every {near}`?" if near else "write `every day`, `every monday` or so"
    text = f"`every {every.unit}` is no rhythm"
    facts.report.add("E0806", every.span, text, help=hint)


def _check_day(every: ast.Every, facts: Facts) -> None:
    day = every.on
    if day is None or day == "last" or every.unit not in RHYTHMS:
        return
    problem: str | None = None
    hint: str | None = None
    if every.unit == "month":
        if not day.isdigit() or not 1 <= int(day) <= 31:
            problem, hint = f"A month has no day {day}", _nth_weekday(day, every)
        elif int(day) > 28:
            text = f"Some months have no day {day}; this falls on their last one"
            facts.warn("W0801", every.span, text, help="say `on last day`, or a day up to 28")
    elif every.unit == "year":
        problem = _no_date(day)
    elif every.unit == "week":
        if day not in DAYS:
            near = did_you_mean(day, DAYS)
            problem = f"`{day}` is no day of the week" + (f"; did you mean `{near}`?" * bool(near))
    else:
        problem = f"`every {every.unit}` takes no day of its own"
    if problem:
        facts.report.add("E0802", every.span, problem, help=hint)


_NTH = {"first": "1", "second": "2", "third": "3", "fourth": "4", "1st": "1", "2nd": "2"}


def _nth_weekday(day: str, every: ast.Every) -> str | None:
    """How a month's `first friday` is written: as a cron line."""
    nth, _, weekday = day.partition(" ")
    if weekday not in DAYS or nth not in (*_NTH, "last"):
        return None
    clock = every.at.value if isinstance(every.at, ast.Literal) else None
    minute, hour = (clock.minute, clock.hour) if clock is not None else (0, 0)
    short = weekday[:3]
    which = f"{short}#{_NTH[nth]}" if nth in _NTH else f"L{WEEKDAYS.index(short)}"
    return f'write `every "{minute} {hour} * * {which}"`'


def _no_date(day: str) -> str | None:
    """What is wrong with a day of the year like `03-31`."""
    month, _, of_month = day.partition("-")
    if not (month.isdigit() and of_month.isdigit()):
        return f"`{day}` is no day of a year; write it like `03-31`"
    if not 1 <= int(month) <= 12 or not 1 <= int(of_month) <= LONGEST[int(month) - 1]:
        return f"No year has the day {day}"
    return None


# --- cron ------------------------------------------------------------------------------------


def _check_cron(every: ast.Every, facts: Facts) -> None:
    problem = cron_problem(every.cron or "")
    if problem:
        hint = "five fields: minute, hour, day of the month, month, day of the week"
        facts.report.add("E0801", every.span, problem, help=hint)


def cron_problem(line: str) -> str | None:
    """What is wrong with a cron line, None where it fires now and then."""
    if line in MACROS:
        return None
    fields = line.split()
    if len(fields) != 5:
        return f"A cron line has five fields; `{line}` has {len(fields)}"
    bounds = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
    names = ((), (), (), MONTHS, WEEKDAYS)
    values = []
    for field, (low, high), known in zip(fields, bounds, names, strict=True):
        found = _values(field.lower(), low, high, tuple(known))
        if found is None:
            return _with_croniter(line)
        values.append(found)
    days, months = values[2], values[3]
    free = fields[4].startswith("*") or fields[2].startswith("*")
    if free and all(day > LONGEST[month - 1] for month in months for day in days):
        return f"`{line}` never comes: none of these months has such a day"
    return None


def _values(field: str, low: int, high: int, names: tuple[str, ...]) -> set[int] | None:
    """The numbers that a field of plain cron stands for; None where it is no plain cron."""
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if span == "*":
            start, end = low, high
        else:
            start = _number(first, names, low)
            end = _number(last, names, low) if last else (high if step else start)
        if (step and not (step.isdigit() and int(step))) or not low <= start <= end <= high:
            return None
        found |= set(range(start, end + 1, int(step or 1)))
    return found


def _number(text: str, names: tuple[str, ...], low: int) -> int:
    """A number or name of a cron field, -1 where it is neither."""
    if text in names:
        return names.index(text) + low
    return int(text) if text.isascii() and text.isdigit() and len(text) < 4 else -1


def _with_croniter(line: str) -> str | None:
    """Rarer forms (`L`, `5#2`, `fri-mon`): the library that runs them decides."""
    from croniter import croniter

    try:
        croniter.expand(line)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return f"`{line}` is no cron line"
    return None
