"""The port: an adapter that leaves out one of its methods cannot be made."""

import pytest

from domain.repository import TaskRepository
from tests.fakes import InMemoryTaskRepository
from tests.operations import METHODS


def test_no_method_is_missing_here() -> None:
    assert {name for name in vars(TaskRepository) if not name.startswith("_")} == set(METHODS)


@pytest.mark.parametrize("left_out", METHODS)
def test_an_adapter_must_have_them_all(left_out: str) -> None:
    others = {name: getattr(InMemoryTaskRepository, name) for name in METHODS if name != left_out}
    incomplete = type("Incomplete", (TaskRepository,), others)
    with pytest.raises(TypeError, match=rf"method '?{left_out}\b"):
        incomplete()
