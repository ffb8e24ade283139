"""Servers that a test may stop, and change, without harm to the others."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import own_folder
from tests.system.collector import Collector, collecting


@pytest.fixture
def server_folder() -> Iterator[Path]:
    """For an embedded server of the test's own."""
    with own_folder() as folder:
        yield folder / "postgres"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector
