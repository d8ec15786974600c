"""What all tests share: `--update` rewrites golden files, and where the project stands."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bizrun.store.base import Store

ROOT = Path(__file__).parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite golden files")


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be rewritten rather than compared."""
    return bool(request.config.getoption("--update"))


@pytest.fixture(scope="session")
def bizrun() -> Path:
    """The installed command of the environment that runs the tests."""
    return Path(sys.executable).parent / "bizrun"


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Every store there is, with the tables of `tests/test_store.py`."""
    from bizrun.store.memory import MemoryStore
    from bizrun.store.sqlite import SqliteStore

    from .test_store import ACCOUNT, ALL

    opened: Store = (
        MemoryStore() if request.param == "memory" else SqliteStore(str(tmp_path / "state.db"))
    )
    opened.prepare([ALL, ACCOUNT])
    yield opened
    opened.close()
