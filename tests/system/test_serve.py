"""`taskward serve` as a process: acknowledged tasks survive a kill, and the service survives a lost database."""

import contextlib
import json
import signal
import threading
from pathlib import Path
from time import monotonic

import httpx2
import pytest

from adapters.embedded_postgres import embedded_postgres
from tests.planted import PLANTED
from tests.system.service import PATIENCE_SECONDS, TASK, Service, run, serving

NEW_CONNECTION = {"Connection": "close"}
"""So that the next request may reach the other worker."""
WRITERS = 4
WRITES_BEFORE_THE_KILL = 50


def test_acknowledged_tasks_survive_a_kill(database_url: str) -> None:
    acknowledged: list[str] = []
    enough = threading.Semaphore(0)

    def write(client: httpx2.Client, number: int) -> None:
        user = {"X-User-Id": f"killed-{number}"}
        try:
            while True:
                answer = client.post(
                    "/v1/tasks", json=TASK | {"title": f"{PLANTED} {number}: {len(acknowledged)}"}, headers=user
                )
                assert answer.status_code == 201
                acknowledged.append(json.dumps([user, answer.json()]))
                enough.release()
        except httpx2.TransportError:
            return

    with serving(database_url) as (service, client):
        writers = [threading.Thread(target=write, args=(client, number)) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        for _ in range(WRITES_BEFORE_THE_KILL):
            enough.acquire()
        service.end(signal.SIGKILL)
        for writer in writers:
            writer.join()

    with serving(database_url) as (_, client):
        assert len(acknowledged) >= WRITES_BEFORE_THE_KILL
        for user, task in map(json.loads, acknowledged):
            assert client.get(f"/v1/tasks/{task['id']}", headers=user).json() == task


def test_the_service_recovers_from_a_lost_database(server_folder: Path) -> None:
    with contextlib.ExitStack() as cleanup:
        with embedded_postgres(server_folder) as url:
            assert run("migrate", DATABASE_URL=url).returncode == 0
            service, client = cleanup.enter_context(serving(url))
            created = client.post("/v1/tasks", json=TASK)
        task = f"/v1/{created.headers['location']}"
        refused, again, alive = client.get(task), client.get(task), client.get("/health/live")
        ready = client.get("/health/ready")
        with embedded_postgres(server_folder):
            served = client.get(task)
            service.end()
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:taskward:problem:database-unavailable")
    assert (again.status_code, alive.status_code, ready.status_code) == (503, 200, 503)
    assert (served.status_code, served.json()) == (200, created.json())
    outcomes = [event["outcome"] for event in service.events("database")]
    assert outcomes == ["ok", "StorageUnavailable", "StorageUnavailable", "ok"]
    assert [len(service.events(f"database {change}")) for change in ("lost", "regained")] == [1, 1]


def test_each_worker_logs_database_loss_and_return_once(server_folder: Path) -> None:
    with contextlib.ExitStack() as cleanup:
        with embedded_postgres(server_folder) as url:
            assert run("migrate", DATABASE_URL=url).returncode == 0
            service, client = cleanup.enter_context(serving(url, WORKERS="2"))
            service.wait_for('"ready"')
        wait_until_both_log(service, client, "database lost")
        with embedded_postgres(server_folder):
            wait_until_both_log(service, client, "database regained")
            assert service.end() == 0
    assert [len(service.events(f"database {change}")) for change in ("lost", "regained")] == [2, 2]


def wait_until_both_log(service: Service, client: httpx2.Client, event: str) -> None:
    until = monotonic() + PATIENCE_SECONDS
    while len(service.events(event)) < 2:
        assert monotonic() < until, service.lines
        client.get("/v1/tasks", headers=NEW_CONNECTION)
    for _ in range(20):  # which neither worker may log again
        client.get("/v1/tasks", headers=NEW_CONNECTION)


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_stop_signal_gives_exit_code_0(database_url: str, by: signal.Signals, workers: str) -> None:
    with serving(database_url, WORKERS=workers) as (service, client):
        assert client.get("/health/ready").status_code == 200
        assert service.end(by) == 0
    assert service.events("stopped")


def test_json_logs_tie_operations_to_their_request(database_url: str) -> None:
    with serving(database_url) as (service, client):
        client.post("/v1/tasks", json=TASK, headers={"X-Request-Id": "tie-1"})
        service.end()
    lines = [json.loads(line) for line in service.lines]
    assert [line["event"] for line in lines if line.get("request_id") == "tie-1"] == ["database", "request"]
    (request,) = service.events("request")
    assert (request["method"], request["route"], request["status"]) == ("POST", "/v1/tasks", 201)
    assert request["duration_ms"] > 0


def test_the_service_starts_from_any_folder(database_url: str, tmp_path: Path) -> None:
    with Service({"DATABASE_URL": database_url}, cwd=tmp_path) as service, service.wait_until_ready() as client:
        assert client.get("/health/ready").status_code == 200


def test_the_console_format_is_not_json(database_url: str) -> None:
    with Service({"DATABASE_URL": database_url, "LOG_FORMAT": "console"}) as service:
        assert "{" not in service.wait_for(" ready ")


def test_planted_text_in_the_output_fails_a_test() -> None:
    with pytest.raises(AssertionError, match=PLANTED), Service({}, command=("echo", PLANTED)) as service:
        service.wait_for(PLANTED)
