"""What commands say of what they are given amiss."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from bizrun.cli.main import COMMANDS, cli

from .conftest import Command


def parameters() -> list[tuple[tuple[str, ...], click.Parameter]]:
    """Everything that takes any text, with its command."""
    found = []
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        parts = command.commands if isinstance(command, click.Group) else {}
        for path, each in [((name,), command), *(((name, n), c) for n, c in parts.items())]:
            found += [(path, given) for given in each.params if given.type is click.STRING]
    return found


OPTIONS = [
    (*path, given.opts[0]) for path, given in parameters()
    if isinstance(given, click.Option) and not given.multiple
]  # fmt: skip
# The first that a command takes: those behind it are missed first.
ARGUMENTS = {
    path: given for path, given in reversed(parameters()) if isinstance(given, click.Argument)
}


@pytest.mark.parametrize("path", ARGUMENTS, ids=" ".join)
def test_an_empty_text_is_refused(command: Command, path: tuple[str, ...]) -> None:
    name = ARGUMENTS[path].human_readable_name.rstrip("…")
    before = ["stripe"] if path == ("push",) else []
    behind = {"convert": ["--to", "yaml"], "diff": ["b.biz"]}.get(path[0], [])
    for text in ("", " "):
        said = command(*path, *before, text, *behind, code=2)
        assert said == f"bizrun: {name} was given an empty value.\n"


@pytest.mark.parametrize("args", OPTIONS, ids=" ".join)
def test_an_empty_value_is_refused(command: Command, args: tuple[str, ...]) -> None:
    assert command(*args, "", code=2) == f"bizrun: {args[-1]} was given an empty value.\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (r"\ud800", r"`\ud800` is half of a character, and its other half is missing"),
        (r"\\\uDC00 and more", r"`\uDC00` is half"),
        (r"\ud83d\n", r"`\ud83d` is half"),
        (r"\ud83d\ude00\ude00", r"`\ude00` is half"),
        (r"\ud83d\ude00 \\ud800", None),
    ],
)
def test_half_a_character_in_an_event(command: Command, text: str, reason: str | None) -> None:
    Path("shop.biz").write_text(SPEC)
    Path("shop.events.jsonl").write_text(f'{{"type": "A.b", "data": {{"x": "{text}"}}}}\n')
    said = " ".join(command("shop.biz", "--out", "none").split())
    assert ("the line is no JSON" in said) == (reason is not None)
    assert reason is None or f"the line is no JSON: {reason}" in said


def test_what_is_no_text(command: Command) -> None:
    """Bytes that are no UTF-8 arrive as halves of characters."""
    Path("shop.biz").write_text(SPEC)
    Path("shop.events.jsonl").touch()
    command("shop.biz", "--out", "none")
    for args in (("why", "\udcff"), ("backup", "\udcff.db")):
        assert "is no UTF-8 text: write it so, with a locale such as" in command(*args, code=2)
    Path("\udcff.biz").write_text(SPEC)
    for args in (("shop.biz", "--state", "\udcff.db"), ("\udcff.biz", "--events", "/dev/null")):
        said = command(*args, "--out", "none", code=2)
        assert "is no UTF-8 in this locale: give --state another file" in said


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


SPEC = """
business "Acme" { currency USD }
event A.new { id text }
on A.new as new { email { to: "a@b.example", template: "hi" } }
template hi { subject "Hi", body "Hello" }
"""


def test_a_name_that_reads_like_an_option(command: Command) -> None:
    Path("-dash.biz").write_text(SPEC)
    for args in ((), ("run",), ("check",)):
        said = command(*args, "-dash.biz", code=2)
        assert said == "bizrun: -dash.biz reads like an option: write ./-dash.biz\n"
    assert command("check", "./-dash.biz").endswith("dash.biz: fine\n")
    assert "No such option" in command("check", "--dashed", code=2)


def test_links_that_lead_nowhere(command: Command) -> None:
    Path("loop.biz").symlink_to("loop.biz")
    for args in ("check", "run", "test"):
        said = command(args, "loop.biz", code=2)
        assert said == "bizrun: loop.biz can't be read: Too many levels of symbolic links.\n"
    Path("a.biz").write_text(SPEC)
    Path("templates").mkdir()
    Path("templates/gone.md").symlink_to("nothing.md")
    Path("templates/folder.md").mkdir()
    text = 'on A.new as new { email { to: "a@b.example", template: "gone" } }'
    Path("a.biz").write_text(f"{SPEC}{text}")
    said = command("check", "a.biz", code=1)
    assert said.startswith(
        "error[E0504]: templates/gone.md can't be read: No such file or directory\n"
    )
    assert "1 error in 1 file" in said


def test_a_lock_that_is_no_file_is_named(command: Command) -> None:
    Path("a.biz").write_text(SPEC)
    Path("a.events.jsonl").write_text("")
    Path("a.db.lock").mkdir()
    said = command("run", "a.biz", "--state", "a.db", code=3)
    assert said.startswith("bizrun: a.db.lock can't be used: Is a directory; ")
    Path("a.db.lock").rmdir()
    Path("a.db.lock").write_text("left by another")
    command("run", "a.biz", "--state", "a.db")


def test_what_is_read_only_is_not_formatted(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("a.biz").write_text("const   a=1\n")
    with monkeypatch.context() as patch:
        # Whoever runs as root may write everywhere.
        patch.setattr("os.access", lambda path, mode: False)
        assert "a.biz can't be written: it is read-only." in command("fmt", "a.biz", code=3)
    assert Path("a.biz").read_text() == "const   a=1\n"


def test_two_businesses_of_one_name_are_told_apart(command: Command) -> None:
    """What no --state names is named after the spec's file, whatever folder that is in."""
    for folder in ("x", "y"):
        Path(folder).mkdir()
        Path(folder, "shop.biz").write_text('business "Shop" { currency USD }\n')
        Path(folder, "shop.events.jsonl").write_text("")
    assert "warning" not in command("x/shop.biz")
    assert "warning" not in command("./x/../x/shop.biz")
    told = command("y/shop.biz")
    assert (
        "warning: .bizrun/shop.db is the state of x/shop.biz, and goes on by y/shop.biz now: give "
        "--state another file where that is another business\n"
    ) in told
    command("x/shop.biz", "--fresh")
    assert "warning" not in command("y/shop.biz", "--state", ".bizrun/other.db")
    Path("x").rename("z")
    assert "warning" not in command("z/shop.biz")
