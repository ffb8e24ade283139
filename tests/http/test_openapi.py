"""The API's description: valid, complete, committed, and shown on a page that needs no internet access."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from entrypoints.container import Container
from entrypoints.http.problems import ALL_PROBLEMS
from tests.http.conftest import client_of
from tests.operations import ON_ALL, ON_ONE

SNAPSHOT = Path(__file__).parents[2] / "docs" / "openapi.json"


@pytest.fixture
def document() -> dict[str, Any]:
    return Container().app().openapi()


def _operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"{method} {path}": op for path, ops in document["paths"].items() for method, op in ops.items()}


def test_the_description_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    validate(document)


def test_the_description_has_changed_only_where_it_was_meant_to(document: dict[str, Any]) -> None:
    assert document == json.loads(SNAPSHOT.read_text()), "if it was: taskward openapi > docs/openapi.json"


async def test_what_is_served_is_what_is_described(client: httpx2.AsyncClient, document: dict[str, Any]) -> None:
    assert (await client.get("/openapi.json")).json() == document


def test_every_operation_tells_every_status_that_can_occur(document: dict[str, Any]) -> None:
    everywhere = {"401", "422", "500", "503"}
    write = {"403"}
    with_body = write | {"400", "408", "413", "415"}
    expected = {
        "post /v1/tasks": {"200", "201"} | everywhere | with_body,
        "get /v1/tasks": {"200", "304"} | everywhere,
        "patch /v1/tasks": {"200"} | everywhere | with_body,
        "delete /v1/tasks": {"200"} | everywhere | write,
        "get /v1/tasks/counts": {"200"} | everywhere,
        "get /v1/tasks/{task_id}": {"200", "304", "404", "412"} | everywhere,
        "put /v1/tasks/{task_id}": {"200", "404", "412"} | everywhere | with_body,
        "patch /v1/tasks/{task_id}": {"200", "404", "412"} | everywhere | with_body,
        "delete /v1/tasks/{task_id}": {"204", "404", "412"} | everywhere | write,
        "post /v1/tasks/{task_id}/toggle": {"200", "404", "412"} | everywhere | write,
        "get /health/live": {"200", "500"},
        "get /health/ready": {"200", "500", "503"},
    }
    assert {name: set(operation["responses"]) for name, operation in _operations(document).items()} == expected


def test_every_route_on_tasks_is_among_the_operations(document: dict[str, Any]) -> None:
    listed = {f"{one.method} /v1/tasks/{{task_id}}{one.path}" for name, one in ON_ONE.items() if name != "head"}
    listed |= {f"{request.method} /v1/tasks{request.path.partition('?')[0]}" for request in ON_ALL.values()}
    routes = {name for name in _operations(document) if "/v1/" in name}
    assert {f"{method.lower()} {path}" for method, path in (one.split(" ", 1) for one in listed)} == routes


def test_every_operation_has_a_name_and_words_of_its_own(document: dict[str, Any]) -> None:
    operations = _operations(document).values()
    ids = [operation["operationId"] for operation in operations]
    assert ids == [
        *["create_task", "list_tasks", "update_tasks", "delete_tasks"],
        *["get_task", "replace_task", "update_task", "delete_task", "toggle_task"],
        *["count_tasks", "live", "ready"],
    ]
    assert all(operation["summary"] and operation["description"] for operation in operations)


def test_every_error_is_described_as_a_problem_with_an_example(document: dict[str, Any]) -> None:
    types = set(document["components"]["schemas"]["Problem"]["properties"]["type"]["enum"])
    for operation in _operations(document).values():
        for status, response in operation["responses"].items():
            if status < "400":
                continue
            (content,) = response["content"].items()
            assert content[0] == "application/problem+json"
            general, narrowed = content[1]["schema"]["allOf"]
            assert general == {"$ref": "#/components/schemas/Problem"}
            told = [example["value"] for example in content[1]["examples"].values()]
            assert {problem["status"] for problem in told} == {int(status)}
            assert narrowed["properties"]["type"]["enum"] == [problem["type"] for problem in told]
            assert set(narrowed["properties"]["type"]["enum"]) <= types


def test_every_problem_type_is_enumerated(document: dict[str, Any]) -> None:
    enumerated = document["components"]["schemas"]["Problem"]["properties"]["type"]["enum"]
    assert {"urn:taskward:problem:cross-site", "urn:taskward:problem:not-found"} < set(enumerated)
    assert len(enumerated) == len(set(enumerated)) == len(ALL_PROBLEMS)


def test_every_header_of_an_answer_is_described(document: dict[str, Any]) -> None:
    operations = _operations(document)

    def answered(name: str, status: str) -> set[str]:
        return set(operations[name]["responses"][status].get("headers", ()))

    always = {"X-Request-Id"}
    task = always | {"ETag", "Cache-Control", "Vary"}
    assert answered("post /v1/tasks", "201") == answered("post /v1/tasks", "200") == task | {"Location"}
    assert answered("get /v1/tasks", "200") == answered("get /v1/tasks", "304") == task | {"Link"}
    assert answered("patch /v1/tasks/{task_id}", "415") == always | {"Accept-Encoding", "Accept-Patch", "Cache-Control"}
    assert answered("get /v1/tasks/{task_id}", "304") == task
    assert answered("patch /v1/tasks/{task_id}", "200") == task
    assert answered("get /v1/tasks", "401") == always | {"Cache-Control", "WWW-Authenticate"}
    assert answered("get /v1/tasks", "503") == always | {"Cache-Control", "Retry-After"}
    assert all(always <= answered(name, status) for name in operations for status in operations[name]["responses"])


def test_every_header_that_can_be_sent_is_described(document: dict[str, Any]) -> None:
    sent = {
        (operation["operationId"], parameter["name"])
        for operation in _operations(document).values()
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "header"
    }
    assert sent == {
        ("create_task", "Idempotency-Key"),
        ("get_task", "If-None-Match"),
        ("list_tasks", "If-None-Match"),
        *[(name, "If-Match") for name in ("get_task", "replace_task", "update_task", "delete_task", "toggle_task")],
    }


def test_clients_know_what_is_sent_and_where(document: dict[str, Any]) -> None:
    assert [server["url"] for server in document["servers"]] == ["."]
    assert {tag["name"] for tag in document["tags"] if tag["description"]} == {"tasks", "health"}
    assert document["info"]["contact"]
    for operation in _operations(document).values():
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], parameter
    assert {"date-time", "uuid"} == set(re.findall('"format": "([^"]+)"', json.dumps(document)))


def test_a_field_that_may_be_left_out_has_no_default(document: dict[str, Any]) -> None:
    for name in ("TaskInput", "TaskPatch"):
        fields = document["components"]["schemas"][name]["properties"].values()
        assert all("default" not in field for field in fields)


def test_identity_is_asked_for_where_tasks_are(document: dict[str, Any]) -> None:
    for name, operation in _operations(document).items():
        assert operation.get("security") == ([{"UserId": []}] if "/v1/" in name else [])


def test_no_body_has_a_place_for_the_owner(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    taken = {"title", "description", "completed"}
    for name, fields in {
        "TaskInput": taken,
        "TaskPatch": taken,
        "Task": taken | {"id", "created_at", "updated_at", "etag"},
        "TaskPage": {"items", "next_cursor"},
    }.items():
        assert schemas[name]["properties"].keys() == fields
    assert [schemas[name]["additionalProperties"] for name in ("TaskInput", "TaskPatch")] == [False] * 2


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    examples = list(_examples(document))
    assert len(examples) > 50
    for schema, example in examples:
        OAS31Validator(schema | {"components": document["components"]}).validate(example)


def _examples(node: object) -> Iterator[tuple[dict[str, Any], object]]:
    """Each example, wherever it stands, with the schema that it has to fit."""
    if isinstance(node, list):
        for child in node:
            yield from _examples(child)
    if isinstance(node, dict):
        examples = node.get("examples", [])
        if isinstance(examples, dict):  # of a media type
            examples = [example["value"] for example in examples.values()]
        if "example" in node:  # of a header
            examples = [*examples, node["example"]]
        for example in examples:
            yield node.get("schema", node), example
        for child in node.values():
            yield from _examples(child)


async def test_the_documentation_page_takes_all_it_needs_from_here(client: httpx2.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert re.findall(r"(?:https?:)?//[\w.]+", page.text) == []
    for asset in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        answer = await client.get(f"/{asset}")
        assert (answer.status_code, len(answer.content) > (100 if asset.endswith(".svg") else 1000)) == (200, True)
    assert 'url: "openapi.json"' in page.text


async def test_the_page_works_behind_a_path_prefix(client: httpx2.AsyncClient) -> None:
    page = (await client.get("/docs")).text
    assert all(not reference.startswith("/") for reference in re.findall(r'(?:src|href)="([^"]+)"', page))


async def test_the_description_needs_no_database(container: Container) -> None:
    async with client_of(container) as client:
        assert (await client.get("/openapi.json")).status_code == 200
