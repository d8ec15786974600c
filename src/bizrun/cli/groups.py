"""A command of several: what is none of them is told with the one that may be meant."""

from __future__ import annotations

from typing import Any

import click

from ..diagnostics import did_you_mean


class Group(click.Group):
    """Tells which commands there are where another is asked for."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names."""
        name = args[0]
        if name not in self.commands and not name.startswith("-"):
            near = did_you_mean(name, self.commands)
            hint = f"Did you mean {near}?" if near else f"There are {', '.join(self.commands)}."
            raise click.UsageError(f"There is no command {name!r}. {hint}", ctx)
        found: Any = super().resolve_command(ctx, args)
        return found  # type: ignore[no-any-return]
