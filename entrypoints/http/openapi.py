"""What the OpenAPI document says beyond the routes' own types: every problem, every header, the links between calls."""

import json
from typing import Any, Final

from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from entrypoints.http.identity import USER_ID_HEADER, Identity
from entrypoints.http.problems import MEDIA_TYPE, Problem

Described = dict[str, Any]

EXAMPLE_ID: Final = "6d9bbdf1-3a5a-4f43-a0d5-4b4d1a2c7f4e"
EXAMPLE_ETAG: Final = '"1763888702610528"'


class ProblemFault(BaseModel):
    """One thing that is wrong with a request."""

    pointer: str = Field(
        description="A JSON pointer (RFC 6901) into the body, or `header: …`, `query: …`, `path: …`.",
        examples=["#/title"],
    )
    detail: str = Field(description="The rule that is broken.", examples=["must have 1 to 255 characters"])


class ProblemOutput(BaseModel, title="Problem"):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="Tells problems apart.", examples=["urn:taskward:problem:invalid-request"])
    title: str = Field(description="The same for each problem of the type.", examples=["Invalid request"])
    status: int = Field(description="The status of the answer.", examples=[422])
    detail: str = Field(description="For people.", examples=["A value breaks a rule: see errors."])
    instance: str = Field(description="The path of the request.", examples=["/v1/tasks"])
    request_id: str = Field(description="Quote it when you ask the operator.", examples=["0b1f7c9e"])
    errors: list[ProblemFault] = Field(default_factory=list, description="With `invalid-request` alone.")


def _header(description: str, example: str) -> Described:
    return {"description": description, "schema": {"type": "string"}, "example": example}


_LOCATION: Final = {"Location": _header("The task, relative to this service.", f"/v1/tasks/{EXAMPLE_ID}")}
_ETAG: Final = {"ETag": _header("This state of the task, for `If-Match` and `If-None-Match`.", EXAMPLE_ETAG)}
_LINK: Final = {"Link": _header("The next page (RFC 8288), while there is one.", '</v1/tasks?cursor=…>; rel="next"')}
_CACHING: Final = {
    "Cache-Control": _header("A cache must ask each time.", "private, no-cache"),
    "Vary": _header("The identity header: this answer is for one user alone.", USER_ID_HEADER),
}
_REQUEST_ID: Final = {"X-Request-Id": _header("The caller's own where it is sane, else a new one.", "0b1f7c9e")}
_LINKS: Final = {
    name: {"operationId": name, "parameters": {"task_id": "$response.body#/id"}}
    for name in ("get_task", "replace_task", "update_task", "toggle_task", "delete_task")
}
_TASK: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/Task"}}}

CREATED: Final = {"description": "The task is made.", "headers": {**_LOCATION, **_ETAG, **_CACHING}, "links": _LINKS}
REPEATED: Final = {
    "description": "An earlier request with this `Idempotency-Key` has made the task; this is how it is now.",
    "headers": {**_LOCATION, **_ETAG, **_CACHING},
    "content": _TASK,
    "links": _LINKS,
}
SHOWN: Final = {"description": "The task.", "headers": {**_ETAG, **_CACHING}}
NOT_MODIFIED: Final = {"description": "The task is as the caller knows it.", "headers": {**_ETAG, **_CACHING}}
LISTED: Final = {"description": "A page of tasks, newest first.", "headers": {**_LINK, **_CACHING}}
DELETED: Final = {"description": "The task is gone.", "headers": _CACHING}


def operation_id(route: APIRoute) -> str:
    """What a generated client calls the operation."""
    return route.name


def also_as(media_type: str, model: type[BaseModel]) -> Described:
    """The same body may come as this media type too."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"content": {media_type: {"schema": schema}}}}


def problems(*kinds: Problem) -> dict[int | str, Described]:
    """The responses for these problems, by status."""
    responses: dict[int | str, Described] = {}
    for kind in kinds:
        content: Described = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}
        empty: Described = {"description": kind.title, "headers": {}, "content": {MEDIA_TYPE: content}}
        response = responses.setdefault(kind.status, empty)
        headers = {"Cache-Control": "no-store", **kind.headers}
        response["headers"] |= {name: _header(name, value) for name, value in headers.items()}
        response["content"][MEDIA_TYPE]["examples"][kind.type] = {"value": kind.body("/v1/tasks", "0b1f7c9e")}
    return responses


def complete(document: Described, identity: Identity) -> Described:
    """The framework's document with what holds for all operations, and with what the identity is really like."""
    components = document["components"]
    components["securitySchemes"] = {name: dict(identity.scheme) for name in components["securitySchemes"]}
    schema = ProblemOutput.model_json_schema(ref_template="#/components/schemas/{model}")
    components["schemas"] |= {**schema.pop("$defs"), "Problem": schema}
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"] = dict(sorted(operation["responses"].items()))
            for response in operation["responses"].values():
                response.setdefault("headers", {}).update(_REQUEST_ID)
                if challenge := response["headers"].get("WWW-Authenticate"):
                    response["headers"]["WWW-Authenticate"] = {**challenge, "example": identity.challenge}
    named: Described = json.loads(json.dumps(document).replace(USER_ID_HEADER, identity.header))
    return named
