"""The mutants that may survive, because they do what the code does, or nothing that could be told from outside."""

EXPLAINED: dict[tuple[str, str, str], str] = {}
"""By file, the line as it stands, and the line as the mutant has it: why no test can tell."""
