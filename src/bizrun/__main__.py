"""Where the command begins, also as `python -m bizrun`: Ctrl-C is minded before all is loaded."""

from __future__ import annotations

import sys


def main() -> int:
    """Runs this process's command line and gives its exit code."""
    try:
        from .cli.main import main as command

        return command()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
