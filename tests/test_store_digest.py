"""One digest of a state, whatever the store and the batches."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from bizrun.store.digest import state_digest
from bizrun.store.memory import MemoryStore
from bizrun.store.sqlite import SqliteStore

from .test_store import ACCOUNT, ALL, T0, account, entry, put


def test_digest_does_not_depend_on_batches_or_store(tmp_path: Path) -> None:
    digests = set()
    for size in (1, 3, 100):
        for store in (MemoryStore(), SqliteStore(str(tmp_path / "d.db"), fresh=True)):
            store.prepare([ACCOUNT, ALL])
            for start in range(0, 20, size):
                numbers = range(start + 1, min(start + size, 20) + 1)
                store.append([entry(n, f"e{n}") for n in numbers])
                put(store, *(account(f"a{n}", score=Decimal(n), due=T0) for n in numbers))
                store.commit()
            digests.add(state_digest(store, [ACCOUNT, ALL]))
            assert state_digest(store, [ALL, ACCOUNT]) in digests
            before = state_digest(store, [ACCOUNT, ALL], {"Account.due"})
            put(store, account("a1", score=1, due=T0 + timedelta(days=1)))
            assert state_digest(store, [ACCOUNT, ALL]) not in digests
            assert state_digest(store, [ACCOUNT, ALL], {"Account.due"}) == before
            put(store, account("a1", score=2))
            skipped = state_digest(store, [ACCOUNT, ALL], {"Account"})
            assert skipped != before
            store.write({"Account": {"a2": None}})
            assert state_digest(store, [ACCOUNT, ALL], {"Account"}) == skipped
            store.append([entry(21, "e21")])
            assert state_digest(store, [ACCOUNT, ALL], {"Account"}) != skipped
            store.close()
    assert len(digests) == 1
