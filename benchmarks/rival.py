"""`python -m benchmarks.rival limits.rules STREAM FOLDER`: one limit or peer, as a line of JSON."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path


def main() -> None:
    """Runs the named function and prints its timing."""
    module, _, name = sys.argv[1].partition(".")
    function = getattr(importlib.import_module(f"benchmarks.{module}"), name)
    timing = function(Path(sys.argv[2]), Path(sys.argv[3]))
    print(json.dumps(asdict(timing)))


if __name__ == "__main__":
    main()
