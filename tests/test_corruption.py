"""Damaged states: every command says what is wrong and what to do, and takes no blame for it.

Deterministic by number: `BIZRUN_CORRUPT=500` tries 500 kinds of damage instead of a few.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Thread

import pytest

from bizrun.cli.main import main

from .databases import opened
from .forked import start

COUNT = int(os.environ.get("BIZRUN_CORRUPT", "0"))
FIRST = int(os.environ.get("BIZRUN_CORRUPT_FROM", "0"))
SECONDS = 60
SPEC = """
business "Acme" { language 1, currency USD, timezone "UTC", bills Account }
entity Account { id text key, email text unique, plan plan?, note text?, seen time?, n number = 0
                 index n }
event Account.joined { id text, email text, plan plan }
event API.called key account { account Account, units number = 1 }
meter calls { sum units of API.called per account }
plan pro { price 29 USD per month, usage calls: 0.01 USD }
on Account.joined as joined {
  let account = create Account { ...joined }
  subscribe { customer: account, plan: joined.plan }
  email { to: joined.email, subject: "Hi", body: "Hi" }
  after 3 days { update account { note: "three days", seen: now } }
}
on Invoice.paid(invoice) { log "paid {invoice.number}" }
trigger Account.busy for Account when usage(self, calls) reaches 5
every month on 1 { log "a month" }
metric accounts: number = count(Account) every day
"""
Commands = Sequence[tuple[str, ...]]
COMMANDS: Commands = (
    ("verify",), ("query", "Account"), ("query", "Invoice", "--json"), ("events",),
    ("events", "--status", "rejected"), ("state-hash",), ("report", "revenue"), ("report", "mrr"),
    ("outbox",), ("backup", "copy.db"), ("preview", "a1"), ("why", "INV-2026-00001"),
    ("run", "a.biz", "--out", "none", "--until", "2026-06-01"),
    ("serve", "a.biz", "--out", "none", "--no-auth", "--port", "0"),
)  # fmt: skip


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a spec, its events, and the state that they come to."""
    folder = tmp_path_factory.mktemp("sound")
    (folder / "a.biz").write_text(SPEC)
    lines = []
    for n in range(1, 7):
        data = {"id": f"a{n}", "email": f"a{n}@b.example", "plan": "pro" if n < 6 else "gold"}
        at = f"2026-01-{n:02}T09:00:00Z"
        lines.append({"id": f"j{n}", "type": "Account.joined", "time": at, "data": data})
        used = {"account": f"a{n}", "units": n}
        lines.append({"id": f"u{n}", "type": "API.called", "time": at, "data": used})
    (folder / "a.events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    before = Path.cwd()
    os.chdir(folder)
    try:
        args = ["run", "a.biz", "--state", "a.db", "--out", "none", "--until", "2026-04-15"]
        assert main(args) == 0
    finally:
        os.chdir(before)
    return folder


# --- damage --------------------------------------------------------------------------------------

Damage = Callable[[Path, random.Random], str]


def cut(state: Path, rnd: random.Random) -> str:
    """The file ends early."""
    size = rnd.choice([rnd.randrange(1, state.stat().st_size), 4096 * rnd.randrange(1, 20), 100])
    os.truncate(state, size)
    return f"cut at {size}"


def zeroes(state: Path, rnd: random.Random) -> str:
    """Pages are empty."""
    data = bytearray(state.read_bytes())
    pages = [rnd.randrange(len(data) // 4096) for _ in range(rnd.choice([1, 1, 3, 20]))]
    for page in pages:
        data[page * 4096 : page * 4096 + 4096] = bytes(4096)
    state.write_bytes(data)
    return f"pages {pages} are zero"


def flips(state: Path, rnd: random.Random) -> str:
    """Bits have changed: in the header, in the schema, or anywhere."""
    data = bytearray(state.read_bytes())
    below = rnd.choice([100, 4096, 4096 * 4, len(data), len(data)])
    places = [rnd.randrange(below) for _ in range(rnd.choice([1, 2, 8, 64]))]
    for place in places:
        data[place] ^= 1 << rnd.randrange(8)
    state.write_bytes(data)
    return f"bits at {places[:8]} flipped"


def swapped(state: Path, rnd: random.Random) -> str:
    """Two pages have changed places."""
    data = bytearray(state.read_bytes())
    one, other = (rnd.randrange(1, len(data) // 4096) * 4096 for _ in range(2))
    data[one : one + 4096], data[other : other + 4096] = (
        data[other : other + 4096], data[one : one + 4096]
    )  # fmt: skip
    state.write_bytes(data)
    return f"pages at {one} and {other} swapped"


def statement(state: Path, rnd: random.Random) -> str:
    """Somebody's SQL: tables, columns and indexes are gone, values of another type."""
    db = sqlite3.connect(state, isolation_level=None)
    listed = "SELECT name FROM sqlite_master WHERE type = ? AND sql IS NOT NULL ORDER BY name"
    names = [name for (name,) in db.execute(listed, ("table",)) if not name.startswith("sqlite_")]
    table = rnd.choice(names)
    columns = [row[1] for row in db.execute(f'PRAGMA table_info("{table}")')]
    column = rnd.choice(columns)
    indexes = [name for (name,) in db.execute(listed, ("index",))]
    value = rnd.choice(
        ["NULL", "''", "'x'", "-1", "3.5", "x'ff00'", "9e999", "'{}'", "'[]'", "'null'", "'[[1]]'",
         "'{\"a\": 1}'", "cast(x'c328' as text)", "'2026-13-45T99:99:99Z'", "99999999999999999999"]
    )  # fmt: skip
    newest = f'WHERE rowid = (SELECT max(rowid) FROM "{table}")'
    texts = [
        f'UPDATE "{table}" SET "{column}" = {value}',
        f'UPDATE "{table}" SET "{column}" = {value}',
        f'UPDATE "{table}" SET "{column}" = {value} {newest}',
        f'DELETE FROM "{table}"',
        f'DELETE FROM "{table}" WHERE rowid % 2',
        f'DROP TABLE "{table}"',
        f'ALTER TABLE "{table}" DROP COLUMN "{column}"',
        f'ALTER TABLE "{table}" RENAME COLUMN "{column}" TO "other"',
        f'ALTER TABLE "{table}" RENAME TO "other"',
        f'DROP INDEX "{rnd.choice(indexes)}"' if indexes else "VACUUM",
        f"PRAGMA user_version = {rnd.randrange(99)}",
    ]
    text = rnd.choice(texts)
    try:
        db.execute(text)
    except sqlite3.Error:
        text = f'DELETE FROM "{table}"'
        try:
            db.execute(text)
        except sqlite3.Error:
            text = "nothing"
    db.close()
    return text


def journal(state: Path, rnd: random.Random) -> str:
    """A journal that is another's, or no journal."""
    other = Path(f"{state}-wal")
    content = rnd.choice(
        [b"", b"x" * 5000, bytes.fromhex("377f0682") + bytes(5000), rnd.randbytes(9000)]
    )
    other.write_bytes(content)
    return f"a journal of {content[:8]!r}"


def beside(state: Path, rnd: random.Random) -> str:
    """The length file says something else, or the whole state is something else."""
    match rnd.randrange(6):
        case 0:
            Path(f"{state}.len").write_bytes(rnd.randbytes(128))
            return "a length file of nothing"
        case 1:
            Path(f"{state}.len").write_text("999 999 abc\n")
            return "a length file of more"
        case 2:
            state.write_text("Dear diary, today was a good day.\n" * 9)
            return "a text"
        case 3:
            state.unlink()
            sqlite3.connect(state).execute("CREATE TABLE t (x)").connection.close()
            return "another program's database"
        case 4:
            state.write_bytes(b"")
            return "an empty file"
    state.unlink()
    db = sqlite3.connect(state)
    db.execute("PRAGMA application_id = 1651079794")
    db.execute("CREATE TABLE _meta (name, value)")
    db.close()
    return "a state without tables"


KINDS: tuple[Damage, ...] = (
    statement, flips, statement, zeroes, statement, cut, statement, swapped, journal, beside
)  # fmt: skip


# --- commands ------------------------------------------------------------------------------------


def ran(folder: Path, args: tuple[str, ...]) -> tuple[int, str]:
    """A command in a process of its own: exit code (a signal is negative), and what it said.

    A server is stopped once it listens.
    """
    process = start(_run, folder, args)
    process.join()
    code = process.exitcode
    assert code is not None
    process.close()
    return code, (folder / "said").read_text(errors="replace")


def _run(folder: Path, args: tuple[str, ...]) -> None:
    code = 99
    try:
        os.chdir(folder)
        said = os.open("said", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        for number in (1, 2):
            os.dup2(said, number)
        sys.stdin = sys.__stdin__ = open(os.devnull)  # noqa: SIM115, PTH123
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        signal.alarm(SECONDS)
        if args[0] == "serve":
            _stop_when_ready(folder / "said")
        code = main([*args, "--state", "a.db"])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _stop_when_ready(said: Path) -> None:
    """Has this process told to end once it says that it listens."""

    def watch() -> None:
        while "listening" not in said.read_text(errors="replace"):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=watch, daemon=True).start()


def broken(sound: Path, folder: Path, number: int) -> str:
    """A copy of the state with the damage of that number; what it is."""
    rnd = random.Random(number)
    shutil.copytree(sound, folder)
    return KINDS[number % len(KINDS)](folder / "a.db", rnd)


def complaints(sound: Path, folder: Path, number: int, commands: Commands) -> Iterator[str]:
    """What a command did not do as it should, after one kind of damage."""
    for args in commands:
        shutil.rmtree(folder, ignore_errors=True)
        what = broken(sound, folder, number)
        code, said = ran(folder, args)
        where = f"{number}: {what}: bizrun {' '.join(args)}: {code}: {said.strip()[-600:]}"
        if code not in (0, 1, 2, 3) or "mistake in bizrun" in said or "Traceback" in said:
            yield where
        elif code and not said.strip():
            yield f"{where}(nothing was said)"


@pytest.mark.parametrize("number", range(FIRST, FIRST + (COUNT or 20)))
def test_damage_is_told_in_a_sentence(sound: Path, tmp_path: Path, number: int) -> None:
    few = random.Random(number).sample(COMMANDS, 2)
    assert list(complaints(sound, tmp_path / "state", number, COMMANDS if COUNT else few)) == []


def test_rows_of_another_shape(sound: Path, tmp_path: Path) -> None:
    """What JSON holds is not what bizrun wrote: the state is to blame, and says so."""
    folder = tmp_path / "state"
    shutil.copytree(sound, folder)
    db = sqlite3.connect(folder / "a.db", isolation_level=None)
    db.execute("UPDATE _effect SET data = '[[1]]'")
    db.close()
    code, said = ran(folder, ("verify",))
    assert code == 1 and "a row is not as bizrun wrote it" in said
    code, said = ran(folder, ("outbox",))
    assert code == 3 and "a.db is not as bizrun wrote it (" in said and "--fresh" in said


@pytest.mark.parametrize(
    ("statement", "found", "code"),
    [
        ("UPDATE _spec SET id = 'x'", "no row that says of which spec it is", 3),
        ("UPDATE _unit SET code = replace(code, 'entity', 'entipy')", "by which work goes on", 1),
        ("UPDATE _unit SET code = replace(code, 'three days', 'Three')", "by which work goes", 1),
        ("UPDATE _plan SET plan = replace(plan, '$m', '$m\"')", "the edition 1 of pro", 3),
        ("UPDATE _plan SET rules = '['", "the edition 1 of pro is not as it was stored", 1),
    ],
)
def test_what_a_run_goes_on_by(
    sound: Path, tmp_path: Path, statement: str, found: str, code: int
) -> None:
    """The spec, the code of work that waits, the prices of before: not as they were stored."""
    folder = tmp_path / "state"
    shutil.copytree(sound, folder)
    lines = (folder / "a.events.jsonl").read_text()
    late = lines.replace('"a', '"b').replace('"j', '"k').replace('"u', '"v').replace("-01-", "-05-")
    (folder / "a.events.jsonl").write_text(late)
    assert ran(folder, ("run", "a.biz", "--out", "none"))[0] == 0
    assert ran(folder, ("verify",))[0] == 0
    with opened(folder / "a.db") as db:
        assert db.execute(statement).rowcount
    number, said = ran(folder, ("verify",))
    assert number == code and found in said
    number, said = ran(folder, ("run", "a.biz", "--out", "none", "--until", "2026-06-15"))
    assert number in (0, 3) and "mistake in bizrun" not in said
