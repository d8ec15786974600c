"""The `bizrun` command: finds the command, loads no more than it, and ends with its exit code."""

from __future__ import annotations

import errno
import gc
import importlib
import os
import sys
from typing import Any

import click

from .. import __version__
from ..diagnostics import did_you_mean
from ..errors import BizError, UsageError, encodable, machine_failure
from .examples import epilog
from .output import give_up_output, go_on_unheard, lenient_output, stand_in

# As `--help` lists them: group, name, where the command stands (module:attribute), its line.
GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "Write a business": {
        "new": ("new:new", "Make a folder with a business to begin with."),
        "check": ("check:check", "Validate specs; run nothing."),
        "test": ("test:test", "Run the test blocks of specs."),
        "fmt": ("fmt:fmt", "Format specs."),
        "graph": ("graph:graph", "Draw what follows from what."),
        "diff": ("diff:diff", "Tell what changed in meaning between two specs."),
        "convert": ("convert:convert", "Turn a spec into its YAML form, or back."),
        "schema": ("convert:schema", "Print the JSON Schema of the YAML form."),
        "lsp": ("lsp:lsp", "Answer an editor: the language server."),
    },
    "Run it": {
        "run": ("run:run", "Check SPEC, then run it over an event stream."),
        "serve": ("serve:serve", "Take events over HTTP, on the wall clock."),
        "token": ("token:token", "Make, list and revoke a server's tokens."),
        "push": ("push:push", "Make a spec's products and prices in a Stripe account."),
        "pull": ("push:pull", "Write a spec from a Stripe account."),
    },
    "Ask it": {
        "query": ("query:query", "Evaluate an expression over the state."),
        "why": ("why:why", "Tell what an invoice, charge or email follows from."),
        "preview": ("preview:preview", "Show a customer's next invoice before it is made."),
        "report": ("report:report", "Show figures: revenue, ledger, MRR, churn."),
        "forecast": ("forecast:forecast", "Continue MRR and revenue along their lines."),
        "backtest": ("backtest:backtest", "Bill the recorded history under another spec."),
    },
    "Look after it": {
        "events": ("events:events", "List events; retry what failed."),
        "outbox": ("outbox:outbox", "List effects; retry or resolve them."),
        "verify": ("verify:verify", "Check a state: hashes, sums, numbers."),
        "state-hash": ("verify:state_hash", "Print one hash of the whole state."),
        "backup": ("backup:backup", "Write a consistent copy of a state."),
        "erase": ("erase:erase", "Remove a person's data, with the books intact."),
    },
}
COMMANDS = {name: at for group in GROUPS.values() for name, (at, _) in group.items()}
_LONGEST = max(map(len, COMMANDS))

HELP = """Run a business that is written as rules.

\b
  bizrun SPEC.biz         check it, run it over its events, print what happened
  bizrun check SPEC.biz   say everything that is wrong with it
  bizrun test SPEC.biz    run the tests that stand in it

`bizrun COMMAND --help` tells more. Exit codes: 0 fine, 1 the spec is wrong or a test failed,
2 the call is wrong, 3 a provider, the store or the disk fails."""


class Commands(click.Group):
    """Loads a command when it is called; what is no command is a spec to run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(f"bizrun.cli.{module}"), attribute)
        command.epilog = command.epilog or epilog(cmd_name)
        _refuse_empty(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands without importing them."""
        for title, group in GROUPS.items():
            with formatter.section(title):
                lines = [(f"{name:<{_LONGEST}}", line) for name, (_, line) in group.items()]
                formatter.write_dl(lines)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts `run` before a spec; a mistyped command is told apart from a file."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            near = did_you_mean(args[0], COMMANDS)
            if near and not os.path.lexists(args[0]) and not set("./\\:") & set(args[0]):
                raise click.UsageError(f"There is no command {args[0]!r}. Did you mean {near}?")
            if not os.path.lexists(args[0]) and not set("./\\:") & set(args[0]):
                raise click.UsageError(
                    f"There is no command and no file {args[0]!r}: see bizrun --help."
                )
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=Commands,
    help=HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    subcommand_metavar="COMMAND | SPEC …",
)
@click.version_option(__version__, message="bizrun %(version)s")
@click.option("--debug", is_flag=True, help="Show a traceback where bizrun itself fails.")
def cli(debug: bool) -> None:
    """Is what `main` runs; `--debug` has been taken out of the arguments by then."""


def _refuse_empty(command: click.Command) -> None:
    """Has all refuse an empty text: it is mostly a variable of a script that nobody set."""
    for given in command.params:
        if given.type is click.STRING:
            given.callback = given.callback or _filled
    for part in command.commands.values() if isinstance(command, click.Group) else ():
        _refuse_empty(part)


def _filled(_context: click.Context, given: click.Parameter, value: Any) -> Any:
    option = isinstance(given, click.Option)
    texts = value if isinstance(value, tuple) else (value,)
    # Of an option a blank may be meant, such as a title; nothing is called so.
    if "" in texts or not (option or all(text is None or text.strip() for text in texts)):
        name = given.opts[0] if option else given.human_readable_name.rstrip("…")
        raise UsageError(f"{name} was given an empty value.")
    return value


def main(args: list[str] | None = None) -> int:
    """Runs a command line (default: this process's) and gives its exit code."""
    given = list(sys.argv[1:] if args is None else args)
    head = given[: given.index("--")] if "--" in given else given
    debug = "--debug" in head
    given = [arg for arg in head if arg != "--debug"] + given[len(head) :]
    stand_in()
    lenient_output()
    if args is None:
        go_on_unheard()
        # A tree and what is found out about it live to the end: looking among them for cycles
        # took an eighth of a check.
        gc.set_threshold(20_000)
    try:
        code = _run(given)
        sys.stdout.flush()
        if args is None:
            gc.freeze()  # Python looks for cycles once more at its end, where all of it goes
        return code
    except KeyboardInterrupt:
        return _say("Stopped.", 130)
    except OSError as problem:
        if debug:
            raise
        failure = machine_failure(problem)
        if failure is not None:
            return _say(str(failure), failure.exit_code)
        code = _say(_system_text(problem), 3 if problem.errno in _DISK else 2)
        give_up_output()
        return code
    except Exception as problem:
        if debug:
            raise
        failure = machine_failure(problem)
        if failure is not None:
            return _say(str(failure), failure.exit_code)
        odd = next((arg for arg in given if not encodable(arg)), None)
        if odd is not None and isinstance(problem, UnicodeEncodeError):
            return _say(f"{odd} is no UTF-8 text: write it so, with a locale such as C.UTF-8.", 2)
        return _say(_report_text(problem), 1)


_DISK = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM,
}  # fmt: skip


def _run(args: list[str]) -> int:
    try:
        result: Any = cli.main(args, prog_name="bizrun", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as problem:
        click.echo(problem.format_message())
        return 2
    except click.NoSuchOption as problem:
        file = next((arg for arg in args if arg.startswith("-") and os.path.lexists(arg)), None)
        if file is not None:
            return _say(f"{file} reads like an option: write ./{file}", 2)
        problem.show()
        return 2
    except click.ClickException as problem:
        problem.show()
        return 2
    except click.Abort:
        return _say("Stopped.", 130)
    except BizError as problem:
        return _say(str(problem), problem.exit_code)
    return result if isinstance(result, int) else 0


def _say(sentence: str, code: int) -> int:
    """One sentence on standard error."""
    text = " ".join(sentence.split("\n"))
    try:
        print(f"bizrun: {text}", file=sys.stderr)
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # standard error is closed: the exit code is all that is left to say
    return code


def _system_text(problem: OSError) -> str:
    reason = problem.strerror or type(problem).__name__
    place = f"{problem.filename}: " if problem.filename else ""
    return f"{place}{reason}."


def _report_text(problem: Exception) -> str:
    reason = str(problem).split("\n")[0][:200]
    return (
        f"This is a mistake in bizrun {__version__}, not in your files "
        f"({type(problem).__name__}: {reason}). Please report it, with what the same command "
        "prints with --debug, unless `bizrun verify` finds that the state was changed."
    )


if __name__ == "__main__":
    sys.exit(main())
