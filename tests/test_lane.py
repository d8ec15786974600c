"""The short ways of a stream lead to the same state and the same log as the long one."""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import apsw
import pytest

from bizrun.pipeline import compile_spec, open_engine
from bizrun.providers.sandbox import Sandbox
from bizrun.runtime import stream
from bizrun.runtime.engine import Engine
from bizrun.runtime.lane import Lanes
from bizrun.runtime.lines import MAX_LINE, FileLines
from bizrun.runtime.tables import tables_of
from bizrun.store.digest import state_digest
from bizrun.store.open import open_store

from .conftest import ROOT

SPECS = ROOT / "benchmarks" / "specs"


def event(id_: str, type_: str, at: str, **data: Any) -> bytes:
    return json.dumps({"id": id_, "type": type_, "time": at, "data": data}).encode() + b"\n"


def usage_lines() -> list[bytes]:
    chance = random.Random(4)
    names = [f"a{n}" for n in range(5)]
    lines = [event(f"o{n}", "Account.opened", "2026-01-01T00:00:00Z", id=n) for n in names]
    for number in range(600):
        # Two months; a few late, doubled, misspelt, or for an account that is not there.
        day = number // 10 - (30 if number % 37 == 0 and number > 300 else 0)
        at = f"2026-{1 + day // 31:02}-{1 + day % 31:02}T{number % 24:02}:00:00Z"
        account = "nobody" if number % 53 == 0 else chance.choice(names)
        units: Any = chance.choice([40, 25, 1.5, 3.0, "7", -2, 10**20])
        extra = {"note": "x"} if number % 41 == 0 else {}
        id_ = f"u{number // 2 if number % 29 == 0 else number}"
        lines.append(
            event(id_, "API.called", at, account=account, endpoint="/", units=units, **extra)
        )
    return [*lines, b"no json\n", b"\n"]


def order_lines() -> list[bytes]:
    chance = random.Random(5)
    lines = []
    for number in range(300):
        data = {
            "country": chance.choice(["DE", "US", "BR"]), "channel": chance.choice(["web", "fax"]),
            "tier": chance.choice(["free", "gold"]), "amount": chance.choice([5, 600.5, 999]),
            "quantity": chance.randrange(25), "discount": chance.randrange(100),
            "first": chance.choice([True, False, None]),
        }  # fmt: skip
        at = f"2026-01-{1 + number // 12:02}T00:00:00Z"
        lines.append(event(f"o{number}", "Order.placed", at, **data))
    return lines


def engine_of(spec: str, state: str) -> Engine:
    checked, program = compile_spec(spec if "/" in spec else str(SPECS / f"{spec}.biz"))
    assert program is not None, checked.diagnostics
    return open_engine(program, open_store(state, fresh=True), Sandbox())


def outcome(spec: str, lines: FileLines | list[bytes], state: str, batch: int) -> tuple[Any, ...]:
    engine = engine_of(spec, state)
    stream.run_stream(engine, lines, batch=batch)
    counts, store = engine.counts, engine.state.store
    found = (
        state_digest(store, tables_of(engine.program)), list(store.log()), counts.handled,
        counts.duplicate, counts.rejected, counts.malformed,
    )  # fmt: skip
    store.close()
    return found


@pytest.mark.parametrize(("spec", "lines"), [("usage", usage_lines()), ("rules", order_lines())])
def test_every_way_ends_the_same(
    spec: str, lines: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = outcome(spec, lines, ":memory:", 1000)
    assert outcome(spec, lines, str(tmp_path / "a.db"), 7) == short
    monkeypatch.setattr(Lanes, "run", lambda self, batch, start, stop, limit: start)
    assert outcome(spec, lines, ":memory:", 1000) == short
    monkeypatch.setattr(Engine, "_count_alone", lambda *args: False)
    assert outcome(spec, lines, str(tmp_path / "b.db"), 1000) == short
    assert short[2] > 100 and short[4] > 20


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_a_file_is_read_as_its_lines_are(batch: int) -> None:
    """What a reader of files promises of its lines saves looks at them, and changes nothing."""
    lines = usage_lines()
    file = FileLines(io.BytesIO(b"".join(lines)))
    assert outcome("usage", file, ":memory:", batch) == outcome("usage", lines, ":memory:", batch)
    assert list(FileLines(io.BytesIO(b"a\n\nb"))) == [b"a\n", b"\n", b"b"]


class Pipe(io.BytesIO):
    """Of which nobody knows whether more will come."""

    def seekable(self) -> bool:
        return False


@pytest.mark.parametrize(("kind", "ahead"), [(io.BytesIO, 999), (Pipe, 3)])
def test_a_file_is_read_ahead_of_its_commits_and_a_pipe_is_not(
    kind: type[io.BytesIO], ahead: int
) -> None:
    lines = usage_lines()
    twice = [*lines[:40], b"no JSON\n", *lines[20:]]
    file = FileLines(kind(b"".join(twice)))
    taken: list[int] = []
    take = file.take

    def taking(count: int) -> list[bytes]:
        taken.append(count)
        return take(count)

    file.take = taking  # type: ignore[method-assign]
    acked: list[list[str]] = []
    engine = engine_of("usage", ":memory:")
    stream.run_stream(engine, file, acked.append, batch=3)
    assert set(taken) == {ahead}
    known: list[list[str]] = []
    other = engine_of("usage", ":memory:")
    stream.run_stream(other, twice, known.append, batch=3)
    assert list(chain(*acked)) == list(chain(*known)) and max(map(len, acked)) == 3
    assert engine.counts == other.counts and engine.counts.duplicate >= 20


def test_the_first_batch_of_a_state_takes_the_short_way(tmp_path: Path) -> None:
    order: dict[str, Any] = {
        "country": "DE", "channel": "web", "tier": "gold", "amount": 5, "quantity": 1,
        "discount": 0, "first": True,
    }  # fmt: skip
    at = "2026-01-01T00:00:{:02}Z"
    lines = [event(f"o{n:02}", "Order.placed", at.format(n), **order) for n in range(50)]
    outcome("rules", lines, str(tmp_path / "state.db"), 1000)
    with closing(apsw.Connection(str(tmp_path / "state.db"))) as db:
        runs = db.execute("SELECT count FROM _log_plain").fetchall()
    # The clock begins with the first.
    assert runs == [(49,)]


def test_a_line_that_is_too_long_is_one_line() -> None:
    long = b"x" * (2 * MAX_LINE + 10)
    data = b"a\n" + long + b"\nb\n" + long + b"\n" + long
    for count in (1, 2, 3, 100):
        file, found = FileLines(io.BytesIO(data)), []
        while some := file.take(count):
            found += some
        assert [line[:1] for line in found] == [b"a", b"x", b"b", b"x", b"x"]
        assert max(map(len, found)) == MAX_LINE + 2


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_lines_that_say_more_count_the_same(batch: int) -> None:
    """A decoder for lines that say no more than they must, and one for all others."""
    fit = [event("o", "Account.opened", "2026-01-01T00:00:00Z", id="a")]
    fit += [
        event(f"u{n:03}", "API.called", "2026-01-02T00:00:00Z", account="a", endpoint="/", units=n)
        for n in range(90)
    ]
    fit += [fit[3], fit[41]]
    more = [
        line.replace(b"{", b'{"specversion": "1.0", "source": "", "traceparent": "00-1", ', 1)
        if 30 < n < 90 and n % 4 == 0 else line
        for n, line in enumerate(fit)
    ]  # fmt: skip
    plain, told = (outcome("usage", lines, ":memory:", batch) for lines in (fit, more))
    assert plain[2:] == told[2:] == (91, 2, 0, 0)
    assert [entry._replace(raw="") for entry in plain[1]] == [
        entry._replace(raw="") for entry in told[1]
    ]


def test_no_figure_hides_a_value_that_is_too_great(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is far from nought on the other side, so that their sum is near."""
    most, lines = 10**18, [event("o", "Account.opened", "2026-01-01T00:00:00Z", id="a")]
    values = (-most, most + 1, 4 * most // 10, 3 * most // 10, most, most + 2, -most, -most - 1)
    lines += [
        event(f"u{n}", "API.called", f"2026-01-02T00:00:0{n}Z", account="a", endpoint="/", units=v)
        for n, v in enumerate(values)
    ]
    short = outcome("usage", lines, ":memory:", 1000)
    monkeypatch.setattr(Lanes, "run", lambda self, batch, start, stop, limit: start)
    monkeypatch.setattr(Engine, "_count_alone", lambda *args: False)
    assert outcome("usage", lines, ":memory:", 1000) == short
    assert short[4] == 3


BACKDATED = """
business "Backdated" { language 1, currency USD, timezone "UTC", bills Account }
entity Account { id text key }
event Account.opened { id text }
event Account.dated key account { account Account, start time }
event API.called key account { account Account, units number }
meter calls { sum units of API.called per account }
plan pro { price 30 USD per month, usage calls: 1 USD }
on Account.opened as e { create Account { id: e.id } }
on Account.dated as e { subscribe { customer: e.account, plan: pro, start: e.start } }
"""


def test_a_start_in_the_past_has_what_was_used_whatever_commits_there_are(tmp_path: Path) -> None:
    spec = tmp_path / "backdated.biz"
    spec.write_text(BACKDATED)
    lines = [event("o", "Account.opened", "2026-01-01T00:00:00Z", id="a")]
    for n in range(4):
        lines.append(event(f"u{n}", "API.called", f"2026-01-{n + 3:02}T00:00:00Z", account="a",
                           units=n))  # fmt: skip
    lines.append(event("s", "Account.dated", "2026-01-10T00:00:00Z", account="a",
                       start="2026-01-02T00:00:00Z"))  # fmt: skip
    engine = engine_of(str(spec), ":memory:")
    stream.run_stream(engine, lines, batch=1000)
    engine.advance(datetime(2026, 2, 2, tzinfo=UTC))
    engine.drain()
    rows = [row["quantity"] for row in engine.state.select("InvoiceLine", {"meter": "calls"})]
    assert rows == [6]
    found = [outcome(str(spec), lines, ":memory:", batch) for batch in (1, 4, 1000)]
    assert found[0] == found[1] == found[2]


METERED = """
business "Metered" { language 1
  currency USD
  timezone "UTC"
  bills Account
  billing calendar
  collect by_invoice, due after 30 days }

plan metered { price 10 USD per month in arrears
  limits { calls: 300 }
  usage calls: 0.01 USD per call
  usage hits: 0.02 USD per hit }
"""
MIXED = (
    METERED
    + """
meter calls { sum units of API.called per account }
meter hits  { count API.called per account }

entity Account { id text key
  quota number = 40
  state "open" | "blocked" = "open" }
event Account.opened key id { id text }
event Account.closed key account { account Account }
event Account.raised key account { account Account, quota number }
event Account.turned key account { account Account, state text }
event API.called key account { account Account, units number = 1, path text = "/" }
event Page.seen { path text }

on Account.opened(id) { let account = create Account { id }
  subscribe { customer: account, plan: metered } }
on Account.closed(account) {
  for each s in Subscription where .customer == account { cancel { subscription: s } }
  delete account }
on Account.raised(account, quota) { update account { quota } }
on Account.turned(account, state) { update account { state } }
on API.called(account) where account.state == "blocked" { reject "blocked" }
on API.called as call where call.path == "/wait" {
  wait for Page.seen as page where page.path == "/done" within 2 days
  log "seen"
}
on API.called as call where call.units > 20 { }
on Page.seen as page where page.path == "/rare" { log page.path }
on Page.seen as page where page.path in ["/a", "/b"] { }

trigger Usage.high for Account when usage(self, calls) >= limit(self, calls) once per period
trigger Usage.over for Account when usage(self, hits) >= self.quota once per period
trigger Usage.edge for Account when usage(self, hits) >= 60
on Usage.high or Usage.over or Usage.edge as alert { log "{event.type} {alert.account}" }
"""
)


def mixed_lines() -> list[bytes]:
    """Three months: accounts come and go, quotas change, clocks of senders disagree by minutes."""
    chance = random.Random(6)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    lines = [event(f"o{n}", "Account.opened", "2026-01-01T00:00:00Z", id=f"a{n}") for n in range(4)]
    for number in range(1500):
        at = start + timedelta(minutes=86 * number + chance.choice([0, 0, 0, -100, 45]))
        stamp, id_ = at.isoformat().replace("+00:00", "Z"), f"e{number:05}"
        account = f"a{chance.randrange(4)}"
        match chance.randrange(40):
            case 0:
                data: Any = {"account": account, "quota": chance.choice([20, 30, 90])}
                lines.append(event(id_, "Account.raised", stamp, **data))
            case 2:
                data = {"account": account, "state": chance.choice(["open", "open", "blocked"])}
                lines.append(event(id_, "Account.turned", stamp, **data))
            case 1 if number in (700, 701, 702, 703) or number > 1200:
                lines.append(event(id_, "Account.closed", stamp, account=account))
                lines.append(event(f"{id_}o", "Account.opened", stamp, id=account))
            case n if n < 12:
                path = chance.choice(["/a", "/b", "/c", "/rare", "/done"])
                lines.append(event(id_, "Page.seen", stamp, path=path))
            case _:
                path = "/wait" if chance.randrange(60) == 0 else "/"
                data = {"account": account, "units": chance.randrange(-1, 24), "path": path}
                lines.append(event(id_, "API.called", stamp, **data))
    return lines


def test_short_and_long_ways_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = tmp_path / "mixed.biz"
    spec.write_text(MIXED)
    lines = mixed_lines()
    short = outcome(str(spec), lines, ":memory:", 1000)
    assert outcome(str(spec), lines, str(tmp_path / "a.db"), 7) == short
    assert outcome(str(spec), lines, str(tmp_path / "b.db"), 1) == short
    taken: list[int] = []
    real = Lanes.run

    def run(self: Lanes, batch: Any, start: int, stop: int, limit: Any) -> int:
        taken.append(real(self, batch, start, stop, limit) - start)
        return start + taken[-1]

    monkeypatch.setattr(Lanes, "run", run)
    assert outcome(str(spec), lines, ":memory:", 100) == short
    assert sum(taken) > 500
    monkeypatch.setattr(Lanes, "run", lambda self, batch, start, stop, limit: start)
    assert outcome(str(spec), lines, ":memory:", 1000) == short
    monkeypatch.setattr(Engine, "_count_alone", lambda *args: False)
    assert outcome(str(spec), lines, str(tmp_path / "c.db"), 1000) == short
    notes = [entry for entry in short[1] if entry.type.startswith("Usage.")]
    assert {entry.type for entry in notes} == {"Usage.high", "Usage.over", "Usage.edge"}
    assert sum(entry.reason == "blocked" for entry in short[1]) > 50


TURNING = (
    METERED
    + """
plan larger { price 20 USD per month in arrears
  limits { calls: 400 }
  usage calls: 0.01 USD per call }
meter calls { sum units of API.called per account }
meter hits  { count Page.hit per account }

entity Account { id text key
  quota number = 20
  told number = 0 }
event Account.opened key id { id text }
event Account.raised key account { account Account, quota number }
event Account.larger key account { account Account }
event API.called key account { account Account, units number = 1 }
event Page.hit key account { account Account }

on Account.opened(id) { let account = create Account { id }
  subscribe { customer: account, plan: metered } }
on Account.raised(account, quota) { update account { quota } }
on Account.larger(account) {
  for each s in Subscription where .customer == account and .plan == metered {
    change_plan { subscription: s, plan: larger } } }
on API.called as call where call.units > 20 { }

trigger Usage.near for Account when usage(self, calls) >= 0.8 * limit(self, calls) once per period
trigger Usage.used_up for Account when usage(self, calls) >= limit(self, calls) once per period
trigger Usage.edge for Account when usage(self, calls) reaches 90
trigger Hits.over for Account when usage(self, hits) >= self.quota
trigger Hits.many for Account when usage(self, hits) >= 30 once per period
on Usage.near or Usage.used_up as alert {
  notify { to: alert.account.id, message: "{event.type} {usage(alert.account, calls)}" } }
on Usage.edge(account) { after 0 days { update account { told: account.told + 1 } } }
on Hits.over(account) { log "over {account.quota}" }
on Hits.many as alert { update alert.account { quota: alert.account.quota + 15 } }
"""
)


def turning_lines() -> list[bytes]:
    """Two months of figures that come to where triggers turn, and fall below it again."""
    chance = random.Random(8)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    lines = [event(f"o{n}", "Account.opened", "2026-01-01T00:00:00Z", id=f"a{n}") for n in range(4)]
    for number in range(1200):
        at = start + timedelta(minutes=72 * number + chance.choice([0, 0, 0, 0, -100]))
        stamp, id_ = at.isoformat().replace("+00:00", "Z"), f"e{number:05}"
        account = f"a{chance.randrange(4)}"
        match chance.randrange(120):
            case 0:
                data: Any = {"account": account, "quota": chance.choice([20, 30, 60])}
                lines.append(event(id_, "Account.raised", stamp, **data))
            case 1:
                lines.append(event(id_, "Account.larger", stamp, account=account))
            case n if n < 50:
                lines.append(event(id_, "Page.hit", stamp, account=account))
            case _:
                data = {"account": account, "units": chance.choice([-20, 4, 8, 9, 27])}
                lines.append(event(id_, "API.called", stamp, **data))
    return lines


def test_a_figure_that_turns_triggers_takes_the_short_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tmp_path / "turning.biz"
    spec.write_text(TURNING)
    lines = turning_lines()
    stepped: list[str] = []
    real = Engine._step

    def step(self: Engine, event: Any, raw: str | None) -> Any:
        stepped.append(event.type)
        return real(self, event, raw)

    monkeypatch.setattr(Engine, "_step", step)
    short = outcome(str(spec), lines, ":memory:", 1000)
    alerts = [entry.type for entry in short[1] if entry.source == "bizrun"]
    fired = Counter(type_ for type_ in alerts if type_.startswith(("Usage.", "Hits.")))
    assert all(fired[type_] >= 3 for type_ in (
        "Usage.near", "Usage.used_up", "Usage.edge", "Hits.over", "Hits.many"
    )), fired  # fmt: skip
    counted = stepped.count("API.called") + stepped.count("Page.hit")
    assert counted < sum(fired.values())  # only what is late, or falls below, is more than counted
    assert outcome(str(spec), lines, str(tmp_path / "a.db"), 7) == short
    monkeypatch.setattr(Lanes, "run", lambda self, batch, start, stop, limit: start)
    assert outcome(str(spec), lines, ":memory:", 1000) == short
    monkeypatch.setattr(Engine, "_count_alone", lambda *args: False)
    assert outcome(str(spec), lines, str(tmp_path / "b.db"), 1000) == short
