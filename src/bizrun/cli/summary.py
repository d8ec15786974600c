"""What a run prints when it is done: for a person, a few lines that say how the business does."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, tzinfo
from decimal import Decimal
from shlex import quote

from ..reports.summary import Summary
from ..values import Money, show
from .render import paint, plural, printable

SHOWN = 5
FIGURES = 4
# What tells one of many alike reasons from another: ids, numbers, what is quoted.
_PARTICULAR = re.compile(r"`[^`]*`|'[^']*'|(?<!\w)[\w@.+:-]*\d[\w@.+:-]*")

_COUNT = re.compile(r" (?=[\d,]*\d(?:,|$))")  # a number stays with what it counts


def text(
    found: Summary, files: Mapping[str, int], folder: str | None, state: str,
    problems: list[str], zone: tzinfo, colour: bool, room: int,
) -> str:  # fmt: skip
    """The summary as lines of so many columns; `files` says how many were written by kind."""
    lines = [paint(printable(found.title), "bold", colour) + _moment(found.clock, zone)]
    rows = [("events", _events(found)), *_money(found)]
    if found.emails:
        rows.append(("emails", _emails(found)))
    if found.effects:
        rows.append(("calls", _counted(found.effects)))
    if found.timers or found.waits:
        rows.append(("waiting", _waiting(found, zone)))
    rows += [(name, _shown(value)) for name, value in found.metrics.items()]
    width = min(max(len(name) for name, _ in rows), 24)
    lines.append("")
    for name, value in rows:
        first, *more = _wrapped(value, room - width - 4)
        lines.append(f"  {paint(f'{name:<{width}}', 'dim', colour)}  {first}")
        lines += [" " * (width + 4) + line for line in more]
    lines += _strangers(found, colour, room)
    lines += _refused(found, colour, room)
    lines += _failed(found, colour, room)
    for problem in _warnings(problems):
        first, *more = _wrapped(problem, room - 11)
        lines.append(f"  {paint('warning', 'warning', colour)}: {first}")
        lines += [f"    {line}" for line in more]
    lines += ["", *_files(files, folder)]
    lines.append(f"{paint('next', 'help', colour)}: {_next(found, state)}")
    return "\n".join(lines) + "\n"


def _wrapped(line: str, room: int, first: str = "", further: str = "") -> list[str]:
    """A line in parts that fit, broken between words; whole where there is hardly any room."""
    if room < 16:
        return [first + line]
    held = _COUNT.sub("\u00a0", line)
    parts = textwrap.wrap(
        held, room, initial_indent=first, subsequent_indent=further,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return [part.replace("\u00a0", " ") for part in parts] or [first]


def _hung(line: str, room: int) -> list[str]:
    """An entry of a list, with what goes on below it further in."""
    return _wrapped(line, room, " " * 4, " " * 8)


def _moment(clock: datetime | None, zone: tzinfo) -> str:
    if clock is None:
        return ", nothing has happened yet"
    local = clock.astimezone(zone)
    return f", as of {local.day} {local:%B %Y, %H:%M %Z}"


def grouped(money: Money) -> str:
    """Money with its thousands apart."""
    number, currency = str(money).split(" ")
    whole, point, fraction = number.partition(".")
    sign = "-" if whole.startswith("-") else ""
    return f"{sign}{int(whole.lstrip('-')):,}{point}{fraction} {currency}"


def _shown(value: object) -> str:
    """A metric for a person: at most four digits behind the point; `--json` has them all."""
    if isinstance(value, Money):
        return grouped(Money(_short(value.amount), value.currency))
    if isinstance(value, Decimal):
        value = _short(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return printable(show(value))


def _short(number: Decimal) -> Decimal:
    return round(number, FIGURES) if number != round(number, FIGURES) else number


def _totals(totals: Mapping[str, Money]) -> str:
    return " + ".join(grouped(money) for _, money in sorted(totals.items())) or "nothing"


def _events(found: Summary) -> str:
    events = found.events
    new = f"{events.handled:,} new"
    more = [f"{events.duplicate:,} seen before"]
    if events.unmatched:
        more.append(f"{events.unmatched:,} that nothing handles")
    if events.rejected:
        more.append(f"{events.rejected:,} rejected")
    if events.late:
        more.append(f"{plural(events.late, 'handler')} refused later")
    if events.failed:
        more.append(f"{plural(events.failed, 'handler')} failed")
    return ", ".join([new, *more])


def _money(found: Summary) -> list[tuple[str, str]]:
    rows = []
    if found.invoices:
        rows.append(("invoices", f"{found.invoices:,}, {_totals(found.invoiced)}"))
    if found.charges or found.failed_charges:
        count = found.failed_charges
        failed = f" ({count:,} attempt{'s' * (count != 1)} failed)" if count else ""
        rows.append(("payments", f"{found.charges:,}, {_totals(found.paid)}{failed}"))
    if found.open_invoices:
        rows.append(("open", f"{plural(found.open_invoices, 'invoice')}, {_totals(found.owed)}"))
    if found.refunds:
        rows.append(("refunds", f"{found.refunds:,}"))
    if found.disputes:
        rows.append(("disputes", _counted(found.disputes)))
    if found.transfers:
        rows.append(("transfers", f"{found.transfers:,}"))
    return rows


def _emails(found: Summary) -> str:
    if set(found.emails) == {"no template"}:
        return f"{found.emails.total():,}"
    return _counted(found.emails)


def _counted(counts: Counter[str]) -> str:
    """The six most frequent, of equals the first by name."""
    total = counts.total()
    most = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:6]
    listed = ", ".join(f"{printable(name)} {count:,}" for name, count in most)
    rest = total - sum(count for _, count in most)
    return f"{total:,}: {listed}" + (f", {rest:,} more" if rest else "")


def _waiting(found: Summary, zone: tzinfo) -> str:
    parts = []
    if found.timers:
        parts.append(plural(found.timers, "timer"))
    if found.next_due is not None:
        local = found.next_due.astimezone(zone)
        parts[-1] += f", the next on {local.day} {local:%B %Y, %H:%M}"
    if found.waits:
        parts.append(f"{plural(found.waits, 'handler')} waiting for an event")
    return "; ".join(parts)


def _strangers(found: Summary, colour: bool, room: int) -> list[str]:
    """Types of events that nothing handles, as far as one of another name may have been meant."""
    meant = [(type_, count, other) for type_, count, other in found.strangers if other]
    if not meant:
        return []
    lines = ["", f"  {paint('nothing handles', 'warning', colour)}"]
    for type_, count, other in meant[:SHOWN]:
        lines += _hung(f"{count:,} × {printable(type_)}: did you mean {other}?", room)
    if len(meant) > SHOWN:
        lines.append(f"    and {len(meant) - SHOWN:,} other types")
    return lines


def _refused(found: Summary, colour: bool, room: int) -> list[str]:
    refusals = [*found.events.refusals, *found.late]
    if not refusals:
        return []
    groups: dict[tuple[str, str], list[str]] = {}
    said: dict[tuple[str, str], set[str]] = {}
    for refusal in refusals:
        place = refusal["id"] or f"line {refusal.get('line')}"
        reason = str(refusal["reason"])
        key = (refusal["type"] or "no event", _PARTICULAR.sub("…", reason))
        groups.setdefault(key, []).append(str(place))
        said.setdefault(key, set()).add(reason)
    lines = ["", f"  {paint('rejected', 'warning', colour)}"]
    most = sorted(groups.items(), key=lambda group: -len(group[1]))
    for key, ids in most[:SHOWN]:
        type_ = key[0]
        reason = _common(sorted(said[key]))
        some = ", ".join(ids[:3]) + (", …" if len(ids) > 3 else "")
        lines += _hung(f"{len(ids):,} × {printable(f'{type_}: {reason} ({some})')}", room)
    if len(most) > SHOWN:
        lines.append(f"    and {len(most) - SHOWN:,} other reasons")
    return lines


def _common(reasons: list[str]) -> str:
    """What alike reasons say, with `…` where they differ."""
    words = [_PARTICULAR.findall(reason) for reason in reasons]
    alike = [found[0] if len(set(found)) == 1 else "…" for found in zip(*words, strict=True)]
    between = _PARTICULAR.split(reasons[0])
    return "".join(text + word for text, word in zip(between, [*alike, ""], strict=True))


def _failed(found: Summary, colour: bool, room: int) -> list[str]:
    if not found.failures:
        return []
    lines = ["", f"  {paint('failed', 'error', colour)}"]
    for row in found.failures[:SHOWN]:
        what = f"{row['type'] or 'work'} {row['event']}: {row['reason']}"
        lines += _hung(f"{printable(row['place'] or row['handler'])}: {printable(what)}", room)
    return lines


def _warnings(problems: list[str]) -> list[str]:
    """The first of those that are alike but for numbers and names, and how many others so."""
    alike: dict[str, list[str]] = {}
    for problem in problems:
        alike.setdefault(_PARTICULAR.sub("…", problem), []).append(problem)
    lines = [
        printable(first) + (f" (and {plural(len(others), 'other')} likewise)" if others else "")
        for first, *others in list(alike.values())[:SHOWN]
    ]
    return lines + ([f"and {len(alike) - SHOWN:,} more"] if len(alike) > SHOWN else [])


def _files(files: Mapping[str, int], folder: str | None) -> list[str]:
    written = [
        plural(count, kind.removesuffix("s").replace("_", " "))
        for kind, count in files.items()
        if count
    ]
    if folder is None or not written:
        return []
    return [f"Wrote {', '.join(written)} to {printable(folder)}."]


def _next(found: Summary, state: str) -> str:
    if state == ":memory:":
        return "bizrun run … --state FILE.db keeps what happened, for queries and the next run"
    where = f"--state {quote(state)}"
    if found.events.failed:
        return f"bizrun events --status failed {where}"
    if found.events.rejected or found.events.late:
        return f"bizrun events --status rejected {where}"
    if found.failed_charges:
        return f"bizrun query 'Invoice where .amount_open > 0 {_currency(found)}' {where}"
    if not found.invoices:
        return f"bizrun events {where}"
    return f"bizrun query 'Invoice order by .total desc limit 10' {where}"


def _currency(found: Summary) -> str:
    return next(iter(found.invoiced), "USD")
