"""The port: an adapter that lacks one of its methods cannot be instantiated."""

import pytest

from domain.repository import TaskRepository
from tests.fakes import InMemoryTaskRepository
from tests.operations import METHODS


def test_the_list_names_every_method() -> None:
    assert {name for name in vars(TaskRepository) if not name.startswith("_")} == set(METHODS)


@pytest.mark.parametrize("missing", METHODS)
def test_an_adapter_must_have_every_method(missing: str) -> None:
    others = {name: getattr(InMemoryTaskRepository, name) for name in METHODS if name != missing}
    incomplete = type("Incomplete", (TaskRepository,), others)
    with pytest.raises(TypeError, match=rf"method '?{missing}\b"):
        incomplete()
