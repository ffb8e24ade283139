"""The OpenAPI document is valid, complete and committed. Its page needs no internet access."""

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


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    validate(document)


def test_the_committed_document_is_current(document: dict[str, Any]) -> None:
    assert document == json.loads(SNAPSHOT.read_text()), (
        "if the change is intended: taskward openapi > docs/openapi.json"
    )


async def test_the_served_document_is_the_same(client: httpx2.AsyncClient, document: dict[str, Any]) -> None:
    assert (await client.get("/openapi.json")).json() == document


def test_every_operation_has_every_possible_status(document: dict[str, Any]) -> None:
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


def test_the_tests_operations_cover_every_route(document: dict[str, Any]) -> None:
    listed = {f"{one.method} /v1/tasks/{{task_id}}{one.path}" for name, one in ON_ONE.items() if name != "head"}
    listed |= {f"{request.method} /v1/tasks{request.path.partition('?')[0]}" for request in ON_ALL.values()}
    routes = {name for name in _operations(document) if "/v1/" in name}
    assert {f"{method.lower()} {path}" for method, path in (one.split(" ", 1) for one in listed)} == routes


def test_every_operation_has_a_name_and_a_description(document: dict[str, Any]) -> None:
    operations = _operations(document).values()
    ids = [operation["operationId"] for operation in operations]
    assert ids == [
        *["create_task", "list_tasks", "update_tasks", "delete_tasks"],
        *["get_task", "replace_task", "update_task", "delete_task", "toggle_task"],
        *["count_tasks", "live", "ready"],
    ]
    assert all(operation["summary"] and operation["description"] for operation in operations)


def test_every_error_is_a_problem_with_an_example(document: dict[str, Any]) -> None:
    types = set(document["components"]["schemas"]["Problem"]["properties"]["type"]["enum"])
    for operation in _operations(document).values():
        for status, response in operation["responses"].items():
            if status < "400":
                continue
            (content,) = response["content"].items()
            assert content[0] == "application/problem+json"
            general, narrowed = content[1]["schema"]["allOf"]
            assert general == {"$ref": "#/components/schemas/Problem"}
            examples = [example["value"] for example in content[1]["examples"].values()]
            assert {problem["status"] for problem in examples} == {int(status)}
            assert narrowed["properties"]["type"]["enum"] == [problem["type"] for problem in examples]
            assert set(narrowed["properties"]["type"]["enum"]) <= types


def test_every_problem_type_is_enumerated(document: dict[str, Any]) -> None:
    enumerated = document["components"]["schemas"]["Problem"]["properties"]["type"]["enum"]
    assert {"urn:taskward:problem:cross-site", "urn:taskward:problem:not-found"} < set(enumerated)
    assert len(enumerated) == len(set(enumerated)) == len(ALL_PROBLEMS)


def test_every_response_header_is_described(document: dict[str, Any]) -> None:
    operations = _operations(document)

    def headers(name: str, status: str) -> set[str]:
        return set(operations[name]["responses"][status].get("headers", ()))

    always = {"X-Request-Id"}
    task = always | {"ETag", "Cache-Control", "Vary"}
    assert headers("post /v1/tasks", "201") == headers("post /v1/tasks", "200") == task | {"Location"}
    assert headers("get /v1/tasks", "200") == headers("get /v1/tasks", "304") == task | {"Link"}
    assert headers("patch /v1/tasks/{task_id}", "415") == always | {"Accept-Encoding", "Accept-Patch", "Cache-Control"}
    assert headers("get /v1/tasks/{task_id}", "304") == task
    assert headers("patch /v1/tasks/{task_id}", "200") == task
    assert headers("get /v1/tasks", "401") == always | {"Cache-Control", "WWW-Authenticate"}
    assert headers("get /v1/tasks", "503") == always | {"Cache-Control", "Retry-After"}
    assert all(always <= headers(name, status) for name in operations for status in operations[name]["responses"])


def test_every_request_header_is_described(document: dict[str, Any]) -> None:
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


def test_servers_tags_parameters_and_formats_are_described(document: dict[str, Any]) -> None:
    assert [server["url"] for server in document["servers"]] == ["."]
    assert {tag["name"] for tag in document["tags"] if tag["description"]} == {"tasks", "health"}
    assert document["info"]["contact"]
    for operation in _operations(document).values():
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], parameter
    assert {"date-time", "uuid"} == set(re.findall('"format": "([^"]+)"', json.dumps(document)))


def test_optional_fields_have_no_default(document: dict[str, Any]) -> None:
    for name in ("TaskInput", "TaskPatch"):
        fields = document["components"]["schemas"][name]["properties"].values()
        assert all("default" not in field for field in fields)


def test_only_routes_on_tasks_need_an_identity(document: dict[str, Any]) -> None:
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
    """Yield each example in the document, with the schema that it must fit."""
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


async def test_the_documentation_page_loads_only_its_own_assets(client: httpx2.AsyncClient) -> None:
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


async def test_the_document_needs_no_database(container: Container) -> None:
    async with client_of(container) as client:
        assert (await client.get("/openapi.json")).status_code == 200
