"""Servers that a test may stop, and change, without harm to the others."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def server_folder() -> Iterator[Path]:
    """A folder for an embedded server of the test's own; short, for the path of its socket."""
    with tempfile.TemporaryDirectory(prefix="taskward-") as folder:
        yield Path(folder) / "postgres"
