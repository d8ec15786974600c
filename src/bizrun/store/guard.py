"""What becomes of a database's failures: sentences, and a store that does no more work."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def guarded(method: Callable[P, R]) -> Callable[P, R]:
    """Turns a failure of the database, one of `store.errors`, in a store's method into a
    StoreError."""

    @wraps(method)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except Exception as error:
            store: Any = args[0]
            if not isinstance(error, store.errors):
                raise
            raise store._fail(error) from None

    return guarded
