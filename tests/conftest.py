"""What all tests share: `--update` rewrites golden files, and where the project stands."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bizrun.cli.main import main
from bizrun.store.base import Store

from .postgres import Server, postgres_server

ROOT = Path(__file__).parent.parent
# Runs the command in an empty folder, with `code` as its exit code; what it printed.
Command = Callable[..., str]


# Commands are started as users have them: a shell has what it starts in the background ignore
# Ctrl-C, and where this is set Python buffers no output.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.pop("PYTHONUNBUFFERED", None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite golden files")


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be rewritten rather than compared."""
    return bool(request.config.getoption("--update"))


@pytest.fixture
def command(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """The command, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*args: str, code: int = 0) -> str:
        assert main([*args]) == code
        out, err = capfd.readouterr()
        return out + err

    return run


def write_shop(spec: str, happened: Iterable[tuple[str, int, dict[str, Any]]]) -> None:
    """`shop.biz` in the working folder, and its events: type, day of April 2026, data."""
    Path("shop.biz").write_text(spec)
    lines = (
        {"id": f"e{n}", "type": type_, "time": f"2026-04-{day:02}T09:00:00Z", "data": data}
        for n, (type_, day, data) in enumerate(happened, 1)
    )
    Path("shop.events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture(scope="session")
def bizrun() -> Path:
    """The installed command of the environment that runs the tests."""
    return Path(sys.executable).parent / "bizrun"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A real PostgreSQL."""
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Every store there is, with the tables of `tests/test_store.py`."""
    from bizrun.store.open import open_store

    from .test_store import ACCOUNT, ALL

    address = {"memory": ":memory:", "sqlite": str(tmp_path / "state.db")}.get(request.param)
    if address is None:
        address = request.getfixturevalue("postgres").address("contract")
    opened = open_store(address, fresh=True)
    opened.prepare([ALL, ACCOUNT])
    yield opened
    opened.close()
