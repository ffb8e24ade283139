"""The tests drop only their own databases."""

import pytest

from tests.databases import PREFIX, drop_database


@pytest.mark.parametrize("name", ["postgres", "taskward", f"x{PREFIX}1", ""])
def test_other_databases_are_never_dropped(name: str) -> None:
    with pytest.raises(PermissionError):  # before the server is contacted
        drop_database("postgresql://nobody@127.0.0.1:1/nowhere", name)
