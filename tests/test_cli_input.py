"""What commands say of options that are given amiss."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from bizrun.cli.main import COMMANDS, cli

from .conftest import Command


def options() -> list[tuple[str, ...]]:
    """Every option that takes any text, behind its command."""
    found = []
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        parts = command.commands if isinstance(command, click.Group) else {}
        for path, each in [((name,), command), *(((name, n), c) for n, c in parts.items())]:
            found += [
                (*path, option.opts[0]) for option in each.params
                if isinstance(option, click.Option) and option.type is click.STRING
                and not option.multiple
            ]  # fmt: skip
    return found


@pytest.mark.parametrize("args", options(), ids=" ".join)
def test_an_empty_value_is_refused(command: Command, args: tuple[str, ...]) -> None:
    assert command(*args, "", code=2) == f"bizrun: {args[-1]} was given an empty value.\n"


def test_an_empty_state_has_nothing_to_tell(command: Command) -> None:
    Path("empty.db").touch()
    assert "is empty: run a spec" in command("verify", "--state", "empty.db", code=2)


def test_what_is_meant_instead(command: Command) -> None:
    assert "Did you mean retry?" in command("events", "rety", "e1", code=2)
    assert "There are new, list, revoke." in command("token", "dance", code=2)
    Path("shop.events.jsonl").write_text('{"type": "A.b"}\n')
    for args in (("check",), ("run",), ("test",)):
        said = command(*args, "shop.events.jsonl", code=2)
        assert said == (
            "bizrun: shop.events.jsonl has events, and a spec is a .biz file: "
            "bizrun run SPEC --events shop.events.jsonl\n"
        )
