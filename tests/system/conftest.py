"""Servers that a test may stop and change without harm to other tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import own_folder
from tests.system.collector import Collector, collecting


@pytest.fixture
def server_folder() -> Iterator[Path]:
    """The folder of an embedded server for this test only."""
    with own_folder() as folder:
        yield folder / "postgres"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector
