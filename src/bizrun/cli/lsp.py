"""`bizrun lsp`: the language server, on standard input and output."""

from __future__ import annotations

import os
import sys

import click

from ..errors import UsageError

MISSING = "The language server needs the `lsp` extra: pip install 'bizrun[lsp]'."


@click.command()
@click.option("--stdio", is_flag=True, help="Taken for editors that say so; there is no other way.")
def lsp(stdio: bool) -> int:
    """Answer an editor on standard input and output: the Language Server Protocol.

    Mistakes with their fixes, types, definitions, references, renaming, completion, symbols,
    formatting. How to set an editor up: docs/editors.md.
    """
    import logging

    try:
        from ..lsp.server import make_server
    except ModuleNotFoundError as problem:
        if (problem.name or "").partition(".")[0] in ("pygls", "lsprotocol", "cattrs", "attrs"):
            raise UsageError(MISSING) from None
        raise
    logging.getLogger("pygls").setLevel(logging.CRITICAL)
    # Its own: the server closes it when an editor says so.
    make_server().start_io(stdout=os.fdopen(os.dup(sys.stdout.fileno()), "wb"))
    return 0
