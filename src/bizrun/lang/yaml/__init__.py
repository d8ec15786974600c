"""The YAML form of a spec (LANGUAGE.md §7): read into the same tree, and written from it."""
