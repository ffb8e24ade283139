"""Many clients and many faults at once, as Jepsen does it: afterwards every answer is compared with what is stored.

SOAK_SECONDS and SOAK_SEED make it longer and different. The seed fixes what is tried, not how the threads interleave.
"""

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import psycopg
import pytest

from tests.system.faults import Faults
from tests.system.history import (
    Answer,
    Client,
    Row,
    State,
    Step,
    unexplained,
    violations,
)
from tests.system.service import run, serving, wait_for_recovery

SECONDS = float(os.environ.get("SOAK_SECONDS", "12"))
SEED = os.environ.get("SOAK_SEED", "1")
CLIENTS = 8
SETTINGS = {"DATABASE_DEADLINE_SECONDS": "1", "DATABASE_CONNECTIONS": "4", "DATABASE_QUEUE": "4"}


def test_stored_tasks_match_the_answers_despite_faults(server_folder: Path) -> None:
    stopped = Event()
    with Faults(server_folder, SEED) as faults:
        run("migrate", DATABASE_URL=faults.url)
        with serving(faults.url, **SETTINGS) as (service, observer), ThreadPoolExecutor(CLIENTS) as pool:
            known: list[tuple[str, str]] = []
            clients = [Client(number, observer.base_url, known, SEED) for number in range(CLIENTS)]
            work = [pool.submit(client.work, stopped) for client in clients]
            try:
                faults.strike(SECONDS)
            finally:
                stopped.set()
            for thread in work:
                thread.result()
            wait_for_recovery(observer)
            assert service.end() == 0
        with psycopg.connect(faults.url) as connection:
            stored = connection.execute("select user_id, id::text, title, completed from tasks")
            rows = [Row(*row) for row in stored]
    histories = [history for client in clients for history in client.histories]
    outcomes = sum((client.outcomes for client in clients), Counter[str]())
    slowest = max(client.slowest for client in clients)
    print(f"{SEED=} {outcomes=} {faults.hits=} {len(histories)=} {len(rows)=} {slowest=}")  # noqa: T201 - if it fails
    found = list(violations(histories, rows))
    assert not found, "\n".join(found)
    assert min(outcomes[outcome] for outcome in ("done", "refused", "unknown")) > 0
    assert len(faults.hits) == 5
    assert min(faults.hits.values()) > 0


CREATED = Step("create", "a", answer=Answer(201, State("a", completed=False, version="1")))
TOGGLED = Step("toggle", answer=Answer(200, State("a", completed=True, version="2")))
DELETED = Step("delete", answer=Answer(204))


@pytest.mark.parametrize(
    ("steps", "stored"),
    [
        ([CREATED], None),
        ([], State("a", completed=False)),
        ([CREATED, DELETED], State("a", completed=False)),
        ([CREATED, TOGGLED], State("a", completed=False)),
        (
            [CREATED, TOGGLED._replace(answer=Answer(200, State("a", completed=False, version="2")))],
            State("a", completed=False),
        ),
        ([CREATED, TOGGLED._replace(answer=Answer(412), expected="1")], State("a", completed=False)),
        ([CREATED, TOGGLED._replace(answer=Answer(404))], State("a", completed=False)),
        (
            [CREATED, TOGGLED._replace(answer=Answer(200, State("a", completed=True, version="1")))],
            State("a", completed=True),
        ),
        ([CREATED, Step("patch", "b", expected="0")], State("b", completed=False)),
    ],
)
def test_the_checker_refuses_an_impossible_history(steps: list[Step], stored: State | None) -> None:
    assert unexplained(steps, stored)


@pytest.mark.parametrize("late", [State("b", completed=False), State("c", completed=False)])
def test_the_checker_allows_late_execution(late: State) -> None:
    patched = Step("patch", "c", answer=Answer(200, State("c", completed=False, version="2")))
    assert unexplained([CREATED, Step("patch", "b"), patched], late) is None
