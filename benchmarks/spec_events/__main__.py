"""Writes the years of the businesses named, or of all."""

import sys

from . import BUSINESSES, write

if __name__ == "__main__":
    for name in sys.argv[1:] or BUSINESSES:
        write(name)
