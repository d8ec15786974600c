"""The few exceptions, each with the exit code that the command line ends with."""

from __future__ import annotations


class BizError(Exception):
    """What is wrong and what to do, as one sentence for a person; never a traceback for a user."""

    exit_code = 1


class UsageError(BizError):
    """The call is wrong, or a file is not there."""

    exit_code = 2


class StoreError(BizError):
    """The store can't be reached, is damaged, or its disk is full or failing.

    `final`: nobody may go on with it before a person has looked, since what the disk says can't be
    relied on: it could not be synced, or is damaged.
    """

    exit_code = 3
    final = False


class ProviderError(BizError):
    """A provider can't be reached."""

    exit_code = 3


class Refusal(BizError):
    """An event is refused: its changes are dropped, its sender gets the text."""


class EvalError(Refusal):
    """An expression has no value: division by zero, two currencies, a field of none."""
