"""bizrun: businesses written as rules, executed durably."""

__version__ = "0.1.0"
