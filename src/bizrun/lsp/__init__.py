"""The language server: the language's own questions, over the protocol that editors speak."""
