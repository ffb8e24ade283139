"""The lists of mutants still match the code."""

from collections import Counter

import pytest

from tests.mutants import mutations, ownership
from tests.mutants.explained import EXPLAINED

CHANGES = [(file, *change) for file, changes in ownership.OWNERSHIP.items() for change in changes]


@pytest.mark.parametrize(("file", "old", "new", "why"), CHANGES, ids=[why for *_, why in CHANGES])
def test_each_ownership_mutant_applies_once_and_compiles(file: str, old: str, new: str, why: str) -> None:
    (mutant,) = ownership.mutants_of(file, [(old, new, why)])
    assert mutant.mutated != mutant.original
    if file.endswith(".py"):
        compile(mutant.mutated, file, "exec")


def test_a_text_not_found_exactly_once_is_refused() -> None:
    for old in ("nowhere to be found", "import"):
        with pytest.raises(ValueError, match="times"):
            list(ownership.mutants_of("domain/task.py", [(old, "", "")]))


def test_each_explained_survivor_is_exactly_one_mutant() -> None:
    places = Counter((mutant.file, *mutant.change) for mutant in mutations.mutants())
    assert {survivor: places[survivor] for survivor in EXPLAINED} == dict.fromkeys(EXPLAINED, 1)
