"""A database that freezes: requests are answered in time, nothing is lost, and the service recovers by itself."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import psutil

from adapters.embedded_postgres import embedded_postgres
from tests.system.faults import frozen
from tests.system.service import TASK, run, serving, wait_for_recovery

UNAVAILABLE = "urn:taskward:problem:database-unavailable"


def test_a_frozen_database_is_answered_503_in_time(server_folder: Path) -> None:
    with embedded_postgres(server_folder) as url:
        run("migrate", DATABASE_URL=url)
        settings = {"DATABASE_DEADLINE_SECONDS": "1", "DATABASE_CONNECTIONS": "2", "DATABASE_QUEUE": "2"}
        with serving(url, **settings) as (service, client), ThreadPoolExecutor(12) as pool:

            def create(_: int) -> httpx2.Response:
                return client.post("/v1/tasks", json=TASK)

            assert create(0).status_code == 201
            with frozen(server_folder):
                answers = list(pool.map(create, range(12)))
                assert {(answer.status_code, answer.headers["retry-after"]) for answer in answers} == {(503, "1")}
                kinds = [answer.json()["type"] for answer in answers]
                assert kinds.count(UNAVAILABLE) == 4  # the connections and the places in the queue
                assert kinds.count("urn:taskward:problem:overloaded") == 8
                ready = client.get("/health/ready")
                assert (ready.status_code, client.get("/health/live").status_code) == (503, 200)
            wait_for_recovery(client)
            assert [answer.status_code for answer in pool.map(create, range(4))] == [201] * 4
            assert service.end() == 0
        outcomes = [line["outcome"] for line in service.events("database")]
        assert {"ok", "StorageUnavailable", "StorageOverloaded"} == set(outcomes)


def test_a_flood_is_refused_without_growing_memory(server_folder: Path) -> None:
    with embedded_postgres(server_folder) as url:
        run("migrate", DATABASE_URL=url)
        settings = {"DATABASE_CONNECTIONS": "2", "DATABASE_QUEUE": "2", "DATABASE_DEADLINE_SECONDS": "1"}
        with serving(url, **settings) as (service, client), ThreadPoolExecutor(32) as pool:

            def read(_: int) -> int:
                return client.get("/v1/tasks").status_code

            assert {read(0)} == {200}
            with frozen(server_folder):
                assert set(pool.map(read, range(500))) == {503}
                before = psutil.Process(service.process.pid).memory_info().rss
                assert set(pool.map(read, range(3000))) == {503}
                grown = psutil.Process(service.process.pid).memory_info().rss - before
            assert grown < 10 * 1024 * 1024
            wait_for_recovery(client)
            assert set(pool.map(read, range(4))) == {200}
