"""`python -m benchmarks`: see `run`."""

import sys

from .run import main

sys.exit(main())
