"""The tests' own databases: nobody else's is ever dropped."""

import pytest

from tests.databases import PREFIX, drop_database


@pytest.mark.parametrize("name", ["postgres", "taskward", f"x{PREFIX}1", ""])
def test_a_database_of_somebody_else_is_not_dropped(name: str) -> None:
    with pytest.raises(PermissionError):  # and not of a server that nobody has asked
        drop_database("postgresql://nobody@127.0.0.1:1/nowhere", name)
