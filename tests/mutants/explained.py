"""The mutants that may survive, because nobody can notice them from outside."""

EXPLAINED: dict[tuple[str, str, str], str] = {}
"""The reason why no test can notice, by file, original line and mutated line."""
