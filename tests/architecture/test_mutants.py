"""The lists of mutants keep step with the code."""

from collections import Counter

import pytest

from tests.mutants import mutations, ownership
from tests.mutants.explained import EXPLAINED

CHANGES = [(file, *change) for file, changes in ownership.OWNERSHIP.items() for change in changes]


@pytest.mark.parametrize(("file", "old", "new", "why"), CHANGES, ids=[why for *_, why in CHANGES])
def test_each_mutant_of_ownership_applies_once_and_is_still_a_program(file: str, old: str, new: str, why: str) -> None:
    (mutant,) = ownership.mutants_of(file, [(old, new, why)])
    assert mutant.mutated != mutant.original
    if file.endswith(".py"):
        compile(mutant.mutated, file, "exec")


def test_what_does_not_stand_there_once_is_no_mutant() -> None:
    for old in ("nowhere to be found", "import"):
        with pytest.raises(ValueError, match="times"):
            list(ownership.mutants_of("domain/task.py", [(old, "", "")]))


def test_each_survivor_that_is_explained_is_still_a_mutant_and_one_alone() -> None:
    places = Counter((mutant.file, *mutant.change) for mutant in mutations.mutants())
    assert {survivor: places[survivor] for survivor in EXPLAINED} == dict.fromkeys(EXPLAINED, 1)
