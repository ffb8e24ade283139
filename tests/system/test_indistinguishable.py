"""Requests on another user's task and on a missing one get the same answer, byte for byte, whatever they ask."""

import json
import re
import socket
from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID, uuid4

import pytest

from tests.operations import ON_ONE, Request
from tests.system.service import PATIENCE_SECONDS, TASK, serving

REQUESTS = ON_ONE | {
    "delete what is none": Request("DELETE", "/none"),
    "invalid": Request("PATCH", "", {"title": ""}),
}
CONDITIONS = {
    "none": "",
    "any": "If-Match: *\r\n",
    "its version": 'If-Match: "ETAG"\r\n',
    "its version among others": 'If-Match: "1", "ETAG"\r\n',
    "its version, weak": 'If-Match: W/"ETAG"\r\n',
    "another version": 'If-Match: "1"\r\n',
    "not any": "If-None-Match: *\r\n",
    "not its version": 'If-None-Match: "ETAG"\r\n',
    "malformed": "If-Match: ETAG\r\n",
}


class Foreign(NamedTuple):
    address: tuple[str, int]
    id: str
    etag: str


@pytest.fixture(scope="module")
def foreign(database_url: str) -> Iterator[Foreign]:
    """A task of alice's, and where it is served."""
    with serving(database_url) as (_, client):
        task = client.post("/v1/tasks", json=TASK)
        address = client.base_url.host, client.base_url.port or 0
        yield Foreign(address, task.json()["id"], task.headers["etag"].strip('"'))
        assert client.get(f"/v1/tasks/{task.json()['id']}").content == task.content


def answer_to_a_stranger(foreign: Foreign, request: str, condition: str, task_id: str) -> bytes:
    method, path, body = REQUESTS[request]
    content = "" if body is None else f"Content-Type: application/json\r\nContent-Length: {len(json.dumps(body))}\r\n"
    head = f"{method} /v1/tasks/{task_id}{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-User-Id: stranger\r\n"
    head += "X-Request-Id: r\r\n" + content + CONDITIONS[condition].replace("ETAG", foreign.etag)
    received = b""
    with socket.create_connection(foreign.address, PATIENCE_SECONDS) as connection:
        connection.sendall(f"{head}\r\n{'' if body is None else json.dumps(body)}".encode())
        while data := connection.recv(65536):
            received += data
    received, dates = re.subn(rb"\r\ndate: [^\r]+\r\n", b"\r\ndate: D\r\n", received)
    assert dates == 1
    return received.replace(task_id.encode(), b"ID")


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("request_", REQUESTS)
def test_foreign_and_missing_tasks_are_answered_alike(foreign: Foreign, request_: str, condition: str) -> None:
    answer = answer_to_a_stranger(foreign, request_, condition, foreign.id)
    assert re.match(rb"HTTP/1.1 4(04|22) ", answer)
    for missing in (uuid4(), UUID(foreign.id[:-1] + ("0" if foreign.id[-1] != "0" else "1"))):
        assert answer_to_a_stranger(foreign, request_, condition, str(missing)) == answer


@pytest.mark.parametrize("request_", ["get", "put", "patch", "patch nothing", "toggle", "delete"])
@pytest.mark.parametrize("condition", ["none", "any", "its version", "another version"])
def test_a_foreign_task_is_answered_404(foreign: Foreign, request_: str, condition: str) -> None:
    head, _, body = answer_to_a_stranger(foreign, request_, condition, foreign.id).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 ")
    assert b"etag" not in head.lower()
    assert json.loads(body)["type"] == "urn:taskward:problem:task-not-found"
