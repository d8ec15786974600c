"""The few exceptions, each with the exit code that the command line ends with."""

from __future__ import annotations

import errno


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


class MisfitError(StoreError):
    """What is stored does not fit the spec, as it was edited: the same again would not help."""

    exit_code = 1


def encodable(text: str) -> bool:
    """Whether a text of the command line is one: bytes that are no UTF-8 arrive as halves of
    characters."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


_TOO_MANY = (
    "too many files are open: allow more with `ulimit -n 1024`, and run the same again; nothing "
    "that was acknowledged is lost"
)
_NO_MEMORY = (
    "there is not enough memory: give this process more (see `ulimit -v`), and run the same again; "
    "nothing that was acknowledged is lost"
)


def machine_failure(error: BaseException) -> StoreError | None:
    """What to say where the machine fails, and no rule, file or line of bizrun does; else None.

    What is refused for such a reason would be handled a moment later, so nothing is recorded of it.
    """
    match error:
        case StoreError():
            return error
        case MemoryError():
            return StoreError(_NO_MEMORY)
        case OSError(errno=errno.EMFILE | errno.ENFILE):
            return StoreError(_TOO_MANY)
        case OSError(errno=errno.ENOMEM):
            return StoreError(_NO_MEMORY)
        case ImportError() if "shared object" in str(error) or "allocate" in str(error):
            return StoreError(f"{error.name or 'a library'} can't be loaded: {_NO_MEMORY}")
    return None


class ProviderError(BizError):
    """A provider can't be reached."""

    exit_code = 3


class Refusal(BizError):
    """An event is refused: its changes are dropped, its sender gets the text."""


class Absent(Refusal):
    """What is referred to is not there."""


class EvalError(Refusal):
    """An expression has no value: division by zero, two currencies, a field of none."""
