"""Commands that are stopped, or whose input and output are gone before they begin."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import ROOT, Command, write_shop
from .databases import opened
from .streams import as_bytes, everything, write_spec

Done = tuple[int, str]

SHOP = """
business "Shop" { language 1, currency USD, timezone "UTC" }
entity Guest { id text key, visits integer = 0 }
event Guest.came { id text }
on Guest.came(id) {
  let guest = upsert Guest { id }
  update guest { visits: .visits + 1 }
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small spec and its events."""
    monkeypatch.chdir(tmp_path)
    write_shop(SHOP, [("Guest.came", 1 + n % 28, {"id": f"g{n % 90}"}) for n in range(900)])
    return tmp_path


@pytest.fixture
def call(bizrun: Path, folder: Path) -> Callable[..., Done]:
    """Runs a shell's line behind `bizrun` in the folder: its exit code, and what it said."""

    def run(line: str) -> Done:
        done = subprocess.run(
            f"{bizrun} {line}", shell=True, cwd=folder, capture_output=True, text=True, timeout=60
        )
        said = done.stdout + done.stderr
        assert "Traceback" not in said and "mistake in bizrun" not in said, said
        return done.returncode, said

    return run


Call = Callable[..., Done]


# --- streams that are not there ----------------------------------------------------------------


def test_closed_streams_are_nothing_to_read_and_nowhere_to_write(call: Call) -> None:
    assert call("shop.biz --events - --out none <&-")[0] == 0
    assert call("fmt - <&-") == (0, "")
    assert call("lsp <&-")[0] == 0
    # Whatever is opened next must not get the number of a closed stream.
    run = "shop.biz --out none --progress json --batch 50"
    for number, closed in enumerate(("2>&-", "<&- >&- 2>&-")):
        assert call(f"{run} --state s{number}.db {closed}")[0] == 0
        assert "sound" in call(f"verify --state s{number}.db")[1]
    hashes = {call(f"state-hash --state s{number}.db") for number in range(2)}
    assert len(hashes) == 1


@pytest.mark.parametrize("line", ["shop.biz --out none", "--help"])
def test_an_output_without_room_is_told(call: Call, line: str) -> None:
    code, said = call(f"{line} > /dev/full")
    assert code == 3 and "No space left on device" in said


def test_a_reader_who_goes_is_no_mistake(bizrun: Path, folder: Path, call: Call) -> None:
    call("shop.biz --out none")
    for line in ("events --json", "query Guest"):
        with subprocess.Popen(
            [bizrun, *line.split()], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == 0


# --- Ctrl-C ------------------------------------------------------------------------------------

INTERRUPTED = """
import sys

class Stopped:
    def find_spec(self, name, *_):
        if name == "bizrun.cli.main":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Stopped())
from bizrun.__main__ import main
sys.exit(main())
"""


def test_ctrl_c_while_bizrun_loads() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "")


def children(process: int) -> Iterator[int]:
    """The processes that one has begun; none where the system does not tell."""
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        yield from map(int, task.read_text().split())


def test_ctrl_c_while_processes_run_tests(bizrun: Path) -> None:
    """A terminal's Ctrl-C goes to all of them: the first answers, and none is left."""
    process = subprocess.Popen(
        [bizrun, "test", "-j", "2", ROOT / "specs"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    found: set[int] = set()
    deadline = time.monotonic() + 5
    while len(found) < 2 and time.monotonic() < deadline and process.poll() is None:
        found |= set(children(process.pid))
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.strip() == "bizrun: Stopped."
    assert not any(Path(f"/proc/{child}/exe").exists() for child in found)


def test_a_stopped_run_goes_on_where_it_was(bizrun: Path, folder: Path, call: Call) -> None:
    write_spec(folder)
    (folder / "everything.events.jsonl").write_bytes(as_bytes(everything(150)))
    line = "everything.biz --until 2026-06-01 --batch 10 --out none"
    call(f"{line} --state whole.db")
    stopped = 0
    for number, how in enumerate((signal.SIGINT, signal.SIGTERM) * 2):
        process = subprocess.Popen(
            [bizrun, *line.split(), "--state", "pieces.db", "--progress", "json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stderr is not None
        for _ in range(number + 1):
            process.stderr.readline()
        process.send_signal(how)
        _, said = process.communicate(timeout=60)
        assert "Traceback" not in said
        stopped += process.returncode != 0
    assert stopped >= 2
    assert call(f"{line} --state pieces.db")[0] == 0
    assert call("state-hash --state pieces.db") == call("state-hash --state whole.db")


# --- other ends --------------------------------------------------------------------------------


def test_a_clock_that_would_run_for_ages_is_refused(call: Call) -> None:
    for until in ("9999-12-31", "2126-01-01"):
        code, said = call(f"shop.biz --out none --until {until}")
        assert code == 2 and "at most 20 years after the last event, up to 2046-04-28" in said
    code, said = call("shop.biz --events /dev/null --state new.db --until 9999-12-31")
    assert code == 2 and "between the years 1970 and 2200" in said
    assert call("shop.biz --out none --until 0001-01-01")[0] == 0


def test_a_state_that_was_never_begun_is_empty(call: Call, folder: Path) -> None:
    """As it is where a run was killed before its first commit."""
    with opened(folder / "begun.db") as db:
        db.execute(f"PRAGMA application_id = {0x62697A72}")
        db.execute("PRAGMA user_version = 0")
    code, said = call("verify --state begun.db")
    assert (code, said) == (2, "bizrun: begun.db is empty: run a spec with it first.\n")
    assert call("shop.biz --state begun.db --out none")[0] == 0


def denied(path: str) -> OSError:
    return PermissionError(errno.EACCES, "Permission denied", path)


@pytest.mark.parametrize("command_line", ["fmt shop.biz", "convert shop.biz --to yaml"])
def test_a_spec_that_may_not_be_read(
    command: Command, folder: Path, command_line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests may run as root, to whom nothing is forbidden."""

    def refused(path: Path) -> bytes:
        raise denied(str(path))

    monkeypatch.setattr(Path, "read_bytes", refused)
    said = command(*command_line.split(), code=2)
    assert said == "bizrun: shop.biz can't be read: Permission denied.\n"


def test_a_folder_that_may_not_be_read_is_not_passed_over(
    command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "plans").mkdir()
    scandir = os.scandir

    def looked(path: str) -> object:
        if str(path).endswith("plans"):
            raise denied(str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", looked)
    said = command("check", ".", code=2)
    assert said == "bizrun: ./plans can't be read: Permission denied.\n"
