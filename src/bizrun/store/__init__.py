"""Where the state lasts: one interface, a store in memory, one in SQLite."""
