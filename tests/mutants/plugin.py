"""A pytest plugin: records how long each test takes, or runs chosen tests in order and ends those that hang."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import Phase, settings

PATIENCE_SECONDS = 10.0
"""A test may take this long, and four times its usual duration."""

_took: dict[str, float] = {}
_chosen: dict[str, float] = {}
"""Seconds of each test, with all its parameters together: a mutant may change the parameters."""


def name_of(test: str) -> str:
    """Return the test's name without its parameters and without the phase that pytest-cov adds."""
    return re.split(r"[\[|]", test, maxsplit=1)[0]


def pytest_configure() -> None:
    # The same examples each time. Any failing example will do, so hypothesis does not shrink it.
    settings.register_profile("mutants", derandomize=True, database=None, phases=[Phase.explicit, Phase.generate])
    settings.load_profile("mutants")
    # By default structlog prints the values of all variables with a traceback, which takes seconds.
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
    if "MUTANTS_CHOSEN" in os.environ:
        _chosen.update(json.loads(Path(os.environ["MUTANTS_CHOSEN"]).read_text()))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if _chosen:
        places = {name: place for place, name in enumerate(_chosen)}
        chosen = [item for item in items if name_of(item.nodeid) in places]
        items[:] = sorted(chosen, key=lambda item: places[name_of(item.nodeid)])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    # Nothing handles SIGALRM, so it ends the process, whatever the test is blocked on.
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS + 4 * _chosen.get(name_of(item.nodeid), 300))
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    name = name_of(report.nodeid)
    _took[name] = _took.get(name, 0) + report.duration


def pytest_sessionfinish() -> None:
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS)  # a thread may keep the process alive
    if "MUTANTS_TOOK" in os.environ:
        Path(os.environ["MUTANTS_TOOK"]).write_text(json.dumps(_took))
