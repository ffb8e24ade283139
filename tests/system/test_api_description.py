"""Tests by tools that know only the API's description: a fuzzer and a generated client."""

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest

from tests.system.service import PATIENCE_SECONDS, Service, serving

CHECKOUT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent
FUZZING_SECONDS = 120


@pytest.fixture(scope="module")
def address(database_url: str) -> Iterator[tuple[Service, str]]:
    with serving(database_url) as (service, client):
        yield service, str(client.base_url).rstrip("/")


def test_schemathesis_finds_nothing(address: tuple[Service, str]) -> None:
    service, url = address
    done = subprocess.run(
        [
            TOOLS / "schemathesis",
            "--config-file",
            "tests/system/schemathesis/schemathesis.toml",
            "run",
            f"{url}/openapi.json",
            "--checks",
            "all",
        ],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=FUZZING_SECONDS,
    )
    assert done.returncode == 0, done.stdout
    assert "No issues found" in done.stdout, done.stdout
    assert {answer["status"] for answer in service.events("request")} >= {200, 201, 204, 304, 400, 401, 404, 405, 412}
    assert service.events("defect") == []


@pytest.fixture
def generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A client as a front-end team would generate it from the committed description."""
    done = subprocess.run(
        [
            TOOLS / "openapi-python-client",
            "generate",
            "--path",
            CHECKOUT / "docs" / "openapi.json",
            "--meta",
            "none",
            "--output-path",
            tmp_path / "taskward_client",
            "--fail-on-warning",
        ],
        env=os.environ | {"PATH": f"{TOOLS}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("api.tasks", "api.health", "models"):
        importlib.import_module(f"taskward_client.{name}")
    for operation in (tmp_path / "taskward_client" / "api" / "tasks").glob("*_task*.py"):
        importlib.import_module(f"taskward_client.api.tasks.{operation.stem}")
    return importlib.import_module("taskward_client")


def test_a_generated_client_works(address: tuple[Service, str], generated: ModuleType) -> None:
    models, tasks = generated.models, generated.api.tasks
    _, url = address

    def client_of(user: str) -> Any:
        return generated.AuthenticatedClient(url, token=user, prefix="", auth_header_name="X-User-Id")

    with client_of("generated-alice") as alice, client_of("generated-bob") as bob:
        draft = models.TaskInput(title="Buy milk")
        made = tasks.create_task.sync_detailed(client=alice, body=draft, idempotency_key="k")
        again = tasks.create_task.sync_detailed(client=alice, body=draft, idempotency_key="k")
        assert (made.status_code, again.status_code, made.parsed) == (201, 200, again.parsed)
        task_id: UUID = made.parsed.id
        etag = made.headers["etag"]

        read = tasks.get_task.sync_detailed(task_id, client=alice)
        assert (read.parsed, read.headers["etag"]) == (made.parsed, etag)
        assert tasks.get_task.sync_detailed(task_id, client=alice, if_none_match=etag).status_code == 304
        assert tasks.get_task.sync(task_id, client=bob).type_ == "urn:taskward:problem:task-not-found"

        patched = tasks.update_task.sync_detailed(
            task_id, client=alice, body=models.TaskPatch(description="Oat"), if_match=etag
        )
        assert (patched.status_code, patched.parsed.description) == (200, "Oat")
        lost = tasks.update_task.sync_detailed(
            task_id, client=alice, body=models.TaskPatch(title="Lost"), if_match=etag
        )
        assert (lost.status_code, lost.parsed.type_) == (412, "urn:taskward:problem:precondition-failed")
        assert tasks.toggle_task.sync(task_id, client=alice).completed is True
        replaced = tasks.replace_task.sync(task_id, client=alice, body=models.TaskInput(title="Buy bread"))
        assert (replaced.title, replaced.description, replaced.completed) == ("Buy bread", None, False)

        refused = tasks.create_task.sync_detailed(client=alice, body=models.TaskInput(title=""))
        assert (refused.status_code, refused.parsed.errors[0].pointer) == (422, "#/title")

        for title in ("Two", "Three"):
            tasks.create_task.sync(client=alice, body=models.TaskInput(title=title))
        page = tasks.list_tasks.sync(client=alice, limit=2)
        rest = tasks.list_tasks.sync(client=alice, limit=2, cursor=page.next_cursor)
        assert [task.title for task in (*page.items, *rest.items)] == ["Three", "Two", "Buy bread"]
        assert tasks.list_tasks.sync(client=bob).items == []

        assert tasks.delete_task.sync_detailed(task_id, client=alice).status_code == 204
        assert tasks.get_task.sync_detailed(task_id, client=alice).status_code == 404
