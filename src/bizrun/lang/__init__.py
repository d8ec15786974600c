"""The language: text in, a checked tree out; pure but for the grammar's tables on disk."""
