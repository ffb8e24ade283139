"""What the OpenAPI document says beyond the routes' own types: every problem, every header, the links between calls."""

import json
from typing import Any, Final

from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from entrypoints.http.identity import USER_ID_HEADER, Identity
from entrypoints.http.problems import (
    ALL_PROBLEMS,
    BODY_TOO_LARGE,
    CROSS_SITE,
    DATABASE_UNAVAILABLE,
    IDENTITY_REQUIRED,
    INTERNAL_ERROR,
    INVALID_REQUEST,
    MALFORMED_BODY,
    MEDIA_TYPE,
    OVERLOADED,
    PRECONDITION_FAILED,
    REQUEST_TIMEOUT,
    TASK_NOT_FOUND,
    TYPE_PREFIX,
    UNSUPPORTED_MEDIA_TYPE,
    Problem,
)

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

    type: str = Field(
        description="Tells problems apart.",
        examples=["urn:taskward:problem:invalid-request"],
        json_schema_extra={"enum": [*sorted(f"{TYPE_PREFIX}{problem.type}" for problem in ALL_PROBLEMS)]},
    )
    title: str = Field(description="The same for each problem of the type.", examples=["Invalid request"])
    status: int = Field(description="The status of the answer.", examples=[422])
    detail: str = Field(description="For people.", examples=["A value breaks a rule: see errors."])
    instance: str = Field(description="The path of the request.", examples=["/v1/tasks"])
    request_id: str = Field(description="Quote it when you ask the operator.", examples=["0b1f7c9e"])
    errors: list[ProblemFault] = Field(default_factory=list, description="With `invalid-request` only.")


def _header(description: str, example: str) -> Described:
    return {"description": description, "schema": {"type": "string"}, "example": example}


_LOCATION: Final = {"Location": _header("The task, relative to the request's path.", f"tasks/{EXAMPLE_ID}")}
_ETAG: Final = {"ETag": _header("This state, for `If-Match` and `If-None-Match`.", EXAMPLE_ETAG)}
_PAGE_ETAG: Final = {"ETag": _header("What this page holds, for `If-None-Match`.", '"pT2AE7c9Gqk0cVbyHyZy"')}
_LINK: Final = {"Link": _header("The next page (RFC 8288), while there is one.", '<?cursor=…>; rel="next"')}
_CACHING: Final = {
    "Cache-Control": _header("A cache must ask each time.", "private, no-cache, no-transform"),
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
LISTED: Final = {"description": "A page of tasks.", "headers": {**_LINK, **_PAGE_ETAG, **_CACHING}}
PAGE_NOT_MODIFIED: Final = {**LISTED, "description": "The page is as the caller knows it."}
COUNTED: Final = {"description": "The counts.", "headers": _CACHING}
CHANGED: Final = {"description": "All are in the new state.", "headers": _CACHING}
DELETED_MANY: Final = {"description": "The tasks are gone.", "headers": _CACHING}
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
        narrowed: Described = {"type": "object", "properties": {"type": {"type": "string", "enum": []}}}
        schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, narrowed]}
        content: Described = {"schema": schema, "examples": {}}
        empty: Described = {"description": kind.title, "headers": {}, "content": {MEDIA_TYPE: content}}
        response = responses.setdefault(kind.status, empty)
        headers = {"Cache-Control": "no-store", **kind.headers}
        response["headers"] |= {name: _header(name, value) for name, value in headers.items()}
        content = response["content"][MEDIA_TYPE]
        content["schema"]["allOf"][1]["properties"]["type"]["enum"].append(f"{TYPE_PREFIX}{kind.type}")
        content["examples"][kind.type] = {"value": kind.body("/v1/tasks", "0b1f7c9e")}
    return responses


EVERYWHERE: Final = problems(IDENTITY_REQUIRED, INVALID_REQUEST, INTERNAL_ERROR, DATABASE_UNAVAILABLE, OVERLOADED)
WRITE: Final = problems(CROSS_SITE)
BODY: Final = problems(CROSS_SITE, MALFORMED_BODY, REQUEST_TIMEOUT, BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE)
BODY[415]["headers"] |= {
    "Accept-Encoding": _header("If the body has a content encoding.", "identity"),
    "Accept-Patch": _header("With PATCH, if the body is of another media type.", "application/merge-patch+json"),
}
CONDITIONAL: Final = problems(TASK_NOT_FOUND, PRECONDITION_FAILED)


def complete(document: Described, identity: Identity) -> Described:
    """The framework's document with what holds for all operations, and with what the identity is really like."""
    components = document["components"]
    components["securitySchemes"] = {name: dict(identity.scheme) for name in components["securitySchemes"]}
    schema = ProblemOutput.model_json_schema(ref_template="#/components/schemas/{model}")
    components["schemas"] |= {**schema.pop("$defs"), "Problem": schema}
    for operations in document["paths"].values():
        for operation in operations.values():
            operation.setdefault("security", [])
            operation["responses"] = dict(sorted(operation["responses"].items()))
            for response in operation["responses"].values():
                response.setdefault("headers", {}).update(_REQUEST_ID)
                if challenge := response["headers"].get("WWW-Authenticate"):
                    response["headers"]["WWW-Authenticate"] = {**challenge, "example": identity.challenge}
    named: Described = json.loads(json.dumps(document).replace(USER_ID_HEADER, identity.header))
    return named
