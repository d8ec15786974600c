"""`--help`: each example can be called, and each command says what its exit code means."""

from __future__ import annotations

import shlex

import click
import pytest

from bizrun.cli.examples import EXAMPLES
from bizrun.cli.main import COMMANDS, cli, main


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_calls_that_there_are(name: str) -> None:
    assert name in COMMANDS
    for line in EXAMPLES[name][0]:
        words = shlex.split(line.rpartition("| ")[2])
        assert words[0] == "bizrun"
        args = words[1:] if words[1] in COMMANDS else ["run", *words[1:]]
        assert args[0] == name
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        context = click.Context(command, info_name=name)
        rest = args[1:]
        if isinstance(command, click.Group) and rest and rest[0] in command.commands:
            command, rest = command.commands[rest[0]], rest[1:]
        command.parse_args(click.Context(command, parent=context), list(rest))


@pytest.mark.parametrize("name", EXAMPLES)
def test_help_has_them(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert "Examples:" in out and "Exit code:" in out
    assert EXAMPLES[name][0][0] in out


def test_every_command_has_them() -> None:
    assert set(COMMANDS) - set(EXAMPLES) == {"lsp"}


@pytest.mark.parametrize("name", ["events", "outbox", "token"])
def test_each_part_of_a_command_has_a_whole_line(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "--help"]) == 0
    listed = capsys.readouterr().out.partition("Commands:")[2].partition("Examples:")[0]
    assert listed and "..." not in listed
