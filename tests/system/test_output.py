"""A standard output that is gone, full, closed or stuck costs no answer and no worker, and changes no exit code."""

import contextlib
from time import monotonic

import httpx2
import psutil
import pytest

from tests.system.service import LINE_SECONDS, PATIENCE_SECONDS, TASK, TASKWARD, Service, client_of, free_ports
from tests.system.test_supervisor import workers_of

FULL = ">/dev/full"
CLOSED = "<&- >&- 2>&-"
WITHOUT_A_READER = "> >(true)"
STUCK = "> >(exec sleep 1000 >&- 2>&-)"


def wait_until_served(client: httpx2.Client) -> None:
    """Poll until the service answers: without an output no line says when."""
    until = monotonic() + LINE_SECONDS
    while monotonic() < until:
        with contextlib.suppress(httpx2.TransportError):
            assert client.get("/health/ready").status_code == 200
            return
    raise TimeoutError


@pytest.mark.parametrize(
    ("output", "workers"),
    [(CLOSED, 1), (FULL, 1), (STUCK, 1), (CLOSED, 2), (WITHOUT_A_READER, 2)],
)
def test_a_bad_standard_output_costs_nothing(database_url: str, output: str, workers: int) -> None:
    (port,) = free_ports(1)
    environment = {"DATABASE_URL": database_url, "PORT": str(port), "WORKERS": str(workers)}
    command = ("bash", "-c", f"exec {TASKWARD} serve {output}")
    with Service(environment, command=command) as service, client_of(f"http://127.0.0.1:{port}") as client:
        wait_until_served(client)
        for _ in range(200):  # more log lines than a pipe holds
            assert client.post("/v1/tasks", json=TASK).status_code == 201
        if workers > 1:
            replace_a_worker(service)
            assert client.post("/v1/tasks", json=TASK, headers={"Connection": "close"}).status_code == 201
        assert service.end() == 0
    assert service.lines == []


def replace_a_worker(service: Service) -> None:
    until = monotonic() + PATIENCE_SECONDS
    first, *_ = before = workers_of(service)
    first.kill()
    while len(workers_of(service)) < len(before) or psutil.pid_exists(first.pid):
        assert monotonic() < until
