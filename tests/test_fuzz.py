"""Any bytes as a spec or a stream: diagnostics or counted rejections, never anything worse.

Inputs come from a seed: mutated specs and streams, noise, depth and huge numbers. Each has five
seconds, all together 512 MB, in a process of their own. `make fuzz N=100000` for more.

`python -m tests.test_fuzz specs|streams FIRST LAST` runs inputs by their numbers, and prints what
is wrong with them.
"""

from __future__ import annotations

import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bizrun.errors import BizError
from bizrun.pipeline import check_loaded, compile_spec, open_engine
from bizrun.providers.sandbox import Sandbox
from bizrun.runtime.engine import Engine
from bizrun.runtime.lines import read_lines
from bizrun.runtime.stream import run_stream
from bizrun.store.memory import MemoryStore

from .streams import EVERYTHING, digest, everything, feed, write_spec

ROOT = Path(__file__).parent.parent
COUNT = int(os.environ.get("BIZRUN_FUZZ", "2000"))
SEED = os.environ.get("BIZRUN_FUZZ_SEED", "1")
MEMORY = 512 * 1024 * 1024
SECONDS = 5
PART = 500  # inputs a process


class TooSlow(BaseException):
    """An input took longer than it may."""


# --- specs -------------------------------------------------------------------------------------

TOKENS = [
    '"', "{", "}", "(", ")", "[", "]", '"""', "\n", "#", "##", "\\", "\x00", "\x07", "é", "\u2028",
    "\r", "\r\n", "\ufeff", "'", "=", "==", ".", "..", "...", "->", "=>", "?.", "??", "$", "/*",
    "//", "<<<<<<< ", "1.", "1e9", "9" * 50, "0.0000000000000000000000001", "1_000", "$5", "100%",
    "29 USD", "1 month", "10 GB", "09:00", "2026-02-30", "2026-01-31T09:00:00Z", "not ", "if ",
    "where ", "none", "unlimited", "on ", "every ", "entity ", "plan ", "use \"./x.biz\"\n",
    "{x", "\\{", "self", "now", "999999 years", "1000000000 months", "9" * 400 + " USD", "\t",
    "\U0001f600", "\udc80", "or ", "for each ", "match ", "let ", "end of ", "% of ", "-", "*",
]  # fmt: skip


@cache
def seeds() -> list[str]:
    """Specs, and each of their declarations by itself."""
    files = [*(ROOT / "tests" / "golden").rglob("*.biz"), *(ROOT / "specs").rglob("*.biz")]
    files += (ROOT / "src" / "bizrun" / "std").rglob("*.biz")
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in sorted(files)]
    texts.append(EVERYTHING)
    parts = [part for text in texts for part in re.split(r"\n(?=[a-z@#])", text) if part.strip()]
    return [text for text in texts if len(text) < 6000] + parts


def spec_input(number: int) -> bytes:
    rng = random.Random(f"{SEED} spec {number}")
    if number % 20 == 0:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(400)))
    if number % 20 == 1:
        return deep(rng).encode()
    pieces = [rng.choice(seeds()) for _ in range(rng.choice((1, 1, 2, 4)))]
    text = "\n".join(pieces)
    for _ in range(rng.randrange(1, 8)):
        text = mutated(rng, text)
    data = text.encode("utf-8", "surrogatepass")
    if rng.random() < 0.1:
        data = flipped(rng, data)
    return data


def mutated(rng: random.Random, text: str) -> str:
    at = rng.randrange(len(text) + 1)
    end = min(len(text), at + rng.choice((1, 3, 20, 200)))
    match rng.randrange(7):
        case 0:
            return text[:at] + text[end:]
        case 1:
            return text[:at] + text[at:end] * rng.choice((2, 3, 40)) + text[end:]
        case 2:
            return text[:at] + rng.choice(TOKENS) + text[at:]
        case 3:
            other = rng.randrange(len(text) + 1)
            return text[:at] + text[other : other + 40] + text[end:]
        case 4:
            return text[:at]
        case 5:
            words = re.findall(r"\w+", text) or ["x"]
            return re.sub(rf"\b{re.escape(rng.choice(words))}\b", rng.choice(words), text, count=1)
    return re.sub(r"\d+", lambda m: rng.choice((m[0], m[0], "0", "9" * 40)), text)


def flipped(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


DEEP: tuple[tuple[str, str, str], ...] = (
    ("const a = ", "(", ")"), ("const a = ", "[", "]"), ("const a = ", "-", ""),
    ("const a = ", "not ", ""), ("const a = 1", " + 1", ""), ("const a = a", ".b", ""),
    ('const a = "', '{"', '"}'), ("const a = ", "{ a: ", "}"), ("const a = ", "f(", ")"),
    ("const a = ", "if a then ", " else 1"), ("const a = ", "if a then 1 else ", ""),
    ("on A.b { ", "if a { ", "}"), ("on A.b { ", "for each a in b { ", "}"),
    ("on A.b { ", "after 1 day { ", "}"), ("on A.b { ", "match a { else => { ", "} }"),
    ("entity A { a ", "[", "]"), ("entity A { a {text: ", "{text: ", "}"), ("", "{", "}"),
    ("type A { a text", ", a text", ""), ("const a = a", "[a", "]"), ("", "plan a { ", "}"),
    ("const a = 1", " where .a", ""), ("const a = ", "80% of ", ""), ("# ", "#", ""),
    ("const a = a", " and a", ""), ("const a = a", " ?? a", ""), ("const a = a", "?.b", ""),
)  # fmt: skip


def deep(rng: random.Random) -> str:
    head, opening, closing = rng.choice(DEEP)
    depth = rng.choice((50, 90, 101, 300, 3000, 20_000))
    if len(opening) > 2:
        depth = min(depth, 3000)
    close = closing * (depth if rng.random() < 0.7 else 0)
    return f"{head}{opening * depth}{rng.choice(('1', 'a', ''))}{close}"


def try_spec(number: int) -> str | None:
    """Through reading, parsing, checking, lowering and compiling, to a running engine."""
    from bizrun.ir.lower_program import lower
    from bizrun.lang.modules import load

    data = spec_input(number)

    def read(name: str) -> bytes:
        if name == "fuzz.biz":
            return data
        raise FileNotFoundError(2, "no such file", name)

    checked = check_loaded(load("fuzz.biz", read, lambda folder: []))
    for problem in checked.diagnostics:
        span = problem.span
        source = checked.loaded.sources.get(span.file)
        if source is not None and not 0 <= span.start <= span.end <= len(source.text):
            return f"{problem.code} points beyond the text: {span}"
        if not problem.message:
            return f"{problem.code} says nothing"
    if checked.ok:
        program = lower(checked)
        engine = open_engine(program, MemoryStore(), Sandbox())
        for handler in program.handlers:
            engine.dispatch.code(handler)
        feed(engine, b'{"type": "A.b", "time": "2026-01-01T00:00:00Z", "data": {"id": "a"}}\n')
        feed(engine, b"", until="2026-01-03T00:00:00Z")
    return None


# --- streams -----------------------------------------------------------------------------------

TYPES = '''\
business "Types" { bills Account, currency USD }
plan gold { price 9 USD per month, usage calls: 0.01 USD }
type Address { street text, number integer? }
entity Account { id text key, plan plan?, status "a" | "b" = "a", spent number = 0 }
entity Kept {
  id text key
  owner Account?
  t text?, n number?, i integer?, b bool?, m money?, p percent?, d duration?, s size?
  at time?, on date?, pl plan?, c coupon?, j json?
}
lifecycle Account.status { start "a", "a" -> "b" on Any.moved, "b" -> "a" on Thing.came }
event Account.signup key id { id text }
event Thing.came key owner {
  owner Account
  t text, n number = 1, i integer?, b bool?, m money?, p percent?, d duration?, s size?
  at time?, on date?, pl plan?, c coupon?, j json?
  l [text]?, mp {text: number}?, u "a" | "b" = "a", r Address?
}
event API.called key account { account Account, units number = 1, region text? }
meter calls { sum units of API.called per account }
meter top   { max units of API.called per account by region }
meter seen  { unique region of API.called per account }
meter ticks { count Thing.came per owner }
on Account.signup as s {
  let a = create Account { ...s }
  subscribe { customer: a, plan: gold }
}
on Thing.came as e {
  upsert Kept { ...e, id: e.t }
  update e.owner { spent: .spent + e.n * e.n / 3 }
  if e.m != none { charge { customer: e.owner, amount: e.m * 2 } }
  if e.d != none { after e.d { log "later {e.t} {e.n:05}" } }
  if e.at != none { at e.at { log "at {e.at}" } }
  email { to: e.t, subject: e.t, body: "{e.n} {e.m ?? 0 USD} {e.on ?? today} {e.s ?? 1 GB}" }
  wait for Any.thing as w where w.id == e.t within 2 days
  if w != none { log "came {w.id}" }
}
on Any.thing as w { log "{w.id} {w.list} {w.n}" }
on *.came { log "{event.type} {event.id} {event.subject}" }
trigger Account.rich for Account when .spent reaches 100
trigger Account.used for Account when usage(self, calls) reaches 5
on Account.rich as r { record spent r.account.spent }
metric spent: number
every day at 09:00 { log "day {count(Kept)}" }
'''  # fmt: skip

NASTY: list[str] = [
    "null", "true", "-0", "1e1000000", "1e-1000000", "-1e999", "9" * 5000, "0." + "9" * 5000,
    "1e18", "1e34", "12345678901234567890123456789012345", "0.1234567890123456789012345678901234",
    "NaN", "Infinity", "-Infinity", "1.5", "-7", "[]", "{}", '""', '"a"', '"' + "x" * 70_000 + '"',
    '"\\ud800"', '"\\udfff\\ud800"', '"\\u0000"', '"\\u202e"', '"\\ud83d\\ude00"', '"29.00 USD"',
    '"29 XXX"', '"1e9999 USD"', '{"amount": "1", "currency": "USD"}',
    '{"amount": 1e400, "currency": "JPY"}', '{"amount": [], "currency": {}}',
    '{"amount": "NaN", "currency": "USD"}', '"15%"', '"1e9%"', '"NaN%"', '"P1Y"', '"P99999999Y"',
    '"P"', '"3 days"', '"99999999999 years"', '"-5 days"', '"10 GB"', '"1e40 GB"', '"unlimited"',
    '"2026-01-31"', '"2026-02-31"', '"9999-12-31T23:59:59Z"', '"0001-01-01T00:00:00Z"',
    '"2026-01-31T09:00:00+14:00"', '"2026-01-31T09:00:00"', '"2026-W05-6"',
    '"2400-01-01T00:00:00Z"',
    '"2026-01-31T24:00:00Z"', '"a0"', '"nobody"', '{"id": "a0"}', '{"id": {"id": "a0"}}', '["a0"]',
    '{"$map": {"a": 1}}', '{"$money": "1 USD"}', '{"$key": "a0"}', '{"k": "Const"}', '"gold"',
    '"line\\nbreak"', '"a@example.com"', '"x\\r\\nBcc: y@example.com"', "[" * 90 + "]" * 90,
    '{"a":' * 90 + "1" + "}" * 90, "[" * 5000 + "]" * 5000,
    '{"a":' * 100_000, "[1" + ",1" * 9000 + "]",
]  # fmt: skip


def stream_input(number: int) -> tuple[str, bytes]:
    """The name of a spec, and a stream for it."""
    rng = random.Random(f"{SEED} stream {number}")
    if number % 3 == 0:
        data = "\n".join(json.dumps(line) for line in everything(30, number)).encode()
        for _ in range(rng.randrange(1, 12)):
            data = flipped(rng, data) if rng.random() < 0.5 else cut(rng, data)
        return "everything", data
    lines = ['{"id":"s","type":"Account.signup","time":"2026-01-01T00:00:00Z","data":{"id":"a0"}}']
    lines += [event_text(rng, n) for n in range(rng.randrange(1, 14))]
    text = rng.choice(("\n", "\n", "\n", "\r\n", "\n\n")).join(lines)
    data = text.encode("utf-8", "surrogatepass")
    if rng.random() < 0.2:
        data = cut(rng, data)
    if rng.random() < 0.1:
        data = b"\xef\xbb\xbf" + data
    return "types", data


def cut(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    end = min(len(data), at + rng.choice((0, 1, 5, 300)))
    more = [
        b"\r",
        b"\n",
        b"\x00",
        b"\xff",
        b'"',
        b"}",
        b"{",
        b"\xed\xa0\x80",
        b",",
        b"\\",
        b"0",
        b"",
    ]
    return data[:at] + rng.choice(more) + data[end:]


FIELDS = (
    "owner", "t", "n", "i", "b", "m", "p", "d", "s", "at", "on", "pl", "c", "j", "l", "mp", "u",
    "r", "id", "units", "account", "region", "list", "subject", "extra",
)  # fmt: skip
KINDS = (
    "Thing.came", "Thing.came", "Thing.came", "API.called", "API.called", "Any.thing", "Any.moved",
    "Account.signup", "No.body", "Account.created", "Invoice.paid", "timer", "*",
    "Subscription.renewed", "Payment.failed", "", "A.b.c", "\\ud800", "Account.rich",
)  # fmt: skip


def event_text(rng: random.Random, number: int) -> str:
    """One line: an event with some fields that are not as they should be."""
    data = {"owner": '"a0"', "account": '"a0"', "id": f'"a{number}"', "t": f'"k{number}"'}
    for _ in range(rng.randrange(4)):
        data[rng.choice(FIELDS)] = rng.choice(NASTY)
    fields = {
        "id": f'"e{rng.randrange(12)}"', "type": f'"{rng.choice(KINDS)}"',
        "time": f'"2026-01-{rng.randrange(1, 29):02}T{rng.randrange(24):02}:00:00Z"',
        "data": "{" + ",".join(f'"{key}":{value}' for key, value in data.items()) + "}",
    }  # fmt: skip
    while rng.random() < 0.25:
        name = rng.choice(("id", "type", "time", "data", "source", "subject", "specversion", "x"))
        fields[name] = rng.choice(NASTY)
    if rng.random() < 0.2:
        del fields[rng.choice(list(fields))]
    pairs = [f'"{key}":{value}' for key, value in fields.items()]
    if rng.random() < 0.1:
        pairs.append(rng.choice(pairs))
    return "{" + ",".join(pairs) + "}"


@cache
def program_of(name: str) -> Any:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        text = TYPES if name == "types" else EVERYTHING
        checked, program = compile_spec(str(write_spec(Path(folder), text, f"{name}.biz")))
        assert program is not None, [
            (d.code, d.message) for d in checked.diagnostics if d.severity == "error"
        ]
        return program


def try_stream(number: int) -> str | None:
    """In the memory store, again, and for some inputs in SQLite with other batches."""
    name, data = stream_input(number)
    store = MemoryStore()
    engine = open_engine(program_of(name), store, Sandbox())
    wrong = ran(engine, data, 1000)
    if wrong:
        return wrong
    before = digest(engine)
    again = open_engine(program_of(name), store, Sandbox())
    wrong = ran(again, data, 1000)
    if wrong or again.counts.handled or again.counts.rejected:
        return wrong or f"run again, it counts {again.counts}"
    if digest(again) != before:
        return "run again, it changes the state"
    if number % 7 == 0:
        return in_sqlite(name, data, before)
    return None


def in_sqlite(name: str, data: bytes, expected: str) -> str | None:
    import tempfile

    from bizrun.store.open import open_store

    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"{folder}/state.db", True)
        engine = open_engine(program_of(name), store, Sandbox())
        wrong = ran(engine, data, 3)
        if wrong is None and digest(engine) != expected:
            wrong = "SQLite has another state than memory"
        problems = store.verify()
        store.close()
        return wrong or ("; ".join(problems) or None)


def ran(engine: Engine, data: bytes, batch: int) -> str | None:
    """Runs a stream as the command does; what does not add up."""
    import io

    run_stream(engine, read_lines(io.BytesIO(data)), None, batch)
    counts = engine.counts
    if counts.read != counts.handled + counts.duplicate + counts.rejected:
        return f"the counts don't add up: {counts}"
    lines = sum(1 for line in data.split(b"\n") if line.strip() not in (b"", b"\xef\xbb\xbf"))
    if counts.read != lines:
        return f"{counts.read} lines were read of {lines}"
    if len(counts.refusals) != counts.rejected:
        return f"{len(counts.refusals)} reasons for {counts.rejected} refusals"
    return None


# --- what these tests found --------------------------------------------------------------------

FOUND_SPECS = {
    "a row of an untyped event is changed": "on Foo.bar(order) { update order { a: 1 } }",
    "a row of an untyped event is deleted": "on Foo.bar(order) { delete order }",
    "a row of an event with a slip in its name is changed":
        "on PaymentQdispute_won(customer) { update customer { a: 1 } }",
    "a list of an untyped event is changed": 'on Foo.bar(order) { add "x" to order.tags }',
    "a meter of an event that nobody declares":
        "plan p { price 1 USD per month, usage m: 1 USD }\n"
        "meter m { count Foo.bar per account where .x > 3 }",
}  # fmt: skip
BUSINESS = 'business "F" { bills Account, currency USD }\nentity Account { id text key }\n'


@pytest.mark.parametrize("text", FOUND_SPECS.values(), ids=FOUND_SPECS.keys())
def test_found_specs(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = (BUSINESS + text).encode()
    monkeypatch.setattr(sys.modules[__name__], "spec_input", lambda number: data)
    assert try_spec(0) is None


FIRST = '{"id":"s","type":"Account.signup","time":"%s","data":{"id":"a0"}}\n'
FOUND_STREAMS = {
    "a mark at its beginning": (b"\xef\xbb\xbf" + (FIRST % "2026-01-01T00:00:00Z").encode(), 1),
    "a year far ahead": (
        (FIRST % "2026-01-01T00:00:00Z" + FIRST % "9999-12-31T00:00:00Z").replace(
            '"s"', '"t"', 1).encode(), 1,
    ),
    "a first year that is none": ((FIRST % "0001-01-01T00:00:00Z").encode(), 0),
    "a first event without a time": (
        b'{"id":"x","type":"Account.signup","data":{"id":"b"}}\n'
        + (FIRST % "2026-01-01T00:00:00Z").encode(), 1,
    ),
    "no time at first, and then another version that is refused": (
        b'{"id":"x","type":"Account.signup","data":{"id":"b"}}\n'
        b'{"id":"x","type":"API.called","time":"2026-01-01T00:00:00Z","data":{}}\n', 0,
    ),
    "data that is no object": (b'{"type":"A.b","time":"2026-01-01T00:00:00Z","data":5}\n', 0),
    "too deep to be read": (
        b'{"type":"A.b","time":"2026-01-01T00:00:00Z","data":{"a":' + b"[" * 700 + b"]" * 700
        + b"}}\n", 0,
    ),
    "half a last line": ((FIRST % "2026-01-01T00:00:00Z").encode() + b'{"id": "x", "ty', 1),
}  # fmt: skip


@pytest.mark.parametrize(("data", "handled"), FOUND_STREAMS.values(), ids=FOUND_STREAMS.keys())
def test_found_streams(data: bytes, handled: int) -> None:
    """A year far ahead let every schedule tick for all the years between."""
    store = MemoryStore()
    engine = open_engine(program_of("types"), store, Sandbox())
    assert ran(engine, data, 1000) is None
    assert engine.counts.handled == handled
    assert engine.counts.rejected == engine.counts.read - handled
    again = open_engine(program_of("types"), store, Sandbox())
    assert ran(again, data, 1000) is None
    assert again.counts.duplicate == again.counts.read


# --- many inputs in one process ----------------------------------------------------------------

KIND: dict[str, Callable[[int], str | None]] = {"specs": try_spec, "streams": try_stream}


def wrong_with(kind: str, number: int) -> str | None:
    """What is wrong with one input: a sentence, or the last lines of a traceback."""

    def ring(*_: object) -> None:
        raise TooSlow

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        return KIND[kind](number)
    except BizError as error:
        # A sentence for a person; the streams' own go into their counts.
        return None if kind == "specs" else f"{type(error).__name__}: {error}"
    except TooSlow:
        return "it takes longer than five seconds: " + traceback.format_exc(limit=-3)
    except BaseException:
        return traceback.format_exc(limit=-6)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def main(kind: str, first: int, last: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    found = {}
    for number in range(first, last):
        wrong = wrong_with(kind, number)
        if wrong:
            found[number] = wrong[-1500:]
    print(json.dumps(found))


def tried(kind: str, first: int, last: int) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.test_fuzz", kind, str(first), str(last)],
        cwd=ROOT, capture_output=True, text=True, timeout=60 + (last - first),
    )  # fmt: skip
    if done.returncode != 0:
        return {f"{first} to {last}": f"ended with {done.returncode}: {done.stderr[-1500:]}"}
    found: dict[str, str] = json.loads(done.stdout)
    return found


def parts(count: int) -> list[tuple[int, int]]:
    return list(pairwise([*range(0, count, PART), count])) if count else []


@pytest.mark.parametrize(("first", "last"), parts(COUNT // 2))
@pytest.mark.parametrize("kind", list(KIND))
def test_any_bytes(kind: str, first: int, last: int) -> None:
    found = tried(kind, first, last)
    text = "\n".join(f"{kind} {number}: {wrong}" for number, wrong in list(found.items())[:5])
    assert not found, f"{len(found)} of {last - first}:\n{text}"


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
