"""A mutant: one file of the product, changed in one place."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Mutant:
    kind: str
    file: str
    original: str
    mutated: str
    """The whole file, before and after."""
    lines: range
    """The changed lines, counted in the original."""
    why: str = ""

    @property
    def change(self) -> tuple[str, str]:
        """The first line that differs: the original and the mutated one."""
        before, after = self.original.splitlines(), self.mutated.splitlines()
        pairs = zip(before, [*after, *[""] * len(before)], strict=False)
        return next((old.strip(), new.strip()) for old, new in pairs if old != new)
