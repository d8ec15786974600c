"""What commands say of files that are named amiss."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Command


@pytest.mark.parametrize("option", ["--state", "--events", "--out"])
def test_an_empty_name_is_refused(command: Command, option: str) -> None:
    said = command("run", "shop.biz", option, "", code=2)
    assert said == f"bizrun: {option} was given an empty name.\n"


def test_an_empty_state_has_nothing_to_tell(command: Command) -> None:
    Path("empty.db").touch()
    assert "is empty: run a spec" in command("verify", "--state", "empty.db", code=2)
