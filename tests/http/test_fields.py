"""Each field that a user sets is written, read, defaulted and refused over HTTP."""

from typing import Any

import httpx2
import pytest

from domain.rules import FIELDS
from domain.task import TaskDraft
from tests.unit.test_fields import VALUES

FIRST = {name: first for name, (first, _) in VALUES.items()}
DEFAULTS = TaskDraft("x").values()


@pytest.mark.parametrize("name", FIELDS)
async def test_each_field_is_written_and_read(client: httpx2.AsyncClient, as_alice: dict[str, str], name: str) -> None:
    other = VALUES[name][1]
    task = (await client.post("/v1/tasks", json={**FIRST, name: other}, headers=as_alice)).json()
    path = f"/v1/tasks/{task['id']}"
    assert {key: task.get(key) for key in FIELDS} == {**FIRST, name: other}
    for method, body, told in (
        ("PUT", {"title": "x"}, DEFAULTS),
        ("PUT", {**FIRST, name: other}, {**FIRST, name: other}),
        ("PATCH", {name: FIRST[name]}, FIRST),
    ):
        answer = (await client.request(method, path, json=body, headers=as_alice)).json()
        assert {key: answer.get(key) for key in FIELDS} == told


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("value", [{}, [], 1.5, "x", 7, True, None])
async def test_each_field_refuses_other_types(
    client: httpx2.AsyncClient, as_alice: dict[str, str], name: str, value: Any
) -> None:
    answer = await client.post("/v1/tasks", json={**FIRST, name: value}, headers=as_alice)
    assert answer.status_code in {201, 422}
    many = await client.patch("/v1/tasks?completed=true", json={"completed": True, name: value}, headers=as_alice)
    assert name == "completed" or many.json()["errors"][0]["detail"] == "cannot be set here"
