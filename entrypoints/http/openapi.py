"""Adds to the OpenAPI document what the routes' types do not say: problems, headers and links between calls."""

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

JsonObject = dict[str, Any]

EXAMPLE_ID: Final = "6d9bbdf1-3a5a-4f43-a0d5-4b4d1a2c7f4e"
EXAMPLE_ETAG: Final = '"1763888702610528"'


class ProblemFault(BaseModel):
    """One fault of a request."""

    pointer: str = Field(
        description="A JSON pointer (RFC 6901) into the body, or `header: …`, `query: …`, `path: …`.",
        examples=["#/title"],
    )
    detail: str = Field(description="The broken rule.", examples=["must have 1 to 255 characters"])


class ProblemOutput(BaseModel, title="Problem"):
    """What went wrong (RFC 9457)."""

    type: str = Field(
        description="The kind of problem.",
        examples=["urn:taskward:problem:invalid-request"],
        json_schema_extra={"enum": [*sorted(f"{TYPE_PREFIX}{problem.type}" for problem in ALL_PROBLEMS)]},
    )
    title: str = Field(description="The same for every problem of this type.", examples=["Invalid request"])
    status: int = Field(description="The HTTP status.", examples=[422])
    detail: str = Field(description="An explanation for people.", examples=["A value breaks a rule: see errors."])
    instance: str = Field(description="The path of the request.", examples=["/v1/tasks"])
    request_id: str = Field(description="Quote it when you ask the operator.", examples=["0b1f7c9e"])
    errors: list[ProblemFault] = Field(default_factory=list, description="Only with `invalid-request`.")


def _header(description: str, example: str) -> JsonObject:
    return {"description": description, "schema": {"type": "string"}, "example": example}


_LOCATION: Final = {"Location": _header("The task, relative to the request's path.", f"tasks/{EXAMPLE_ID}")}
_ETAG: Final = {"ETag": _header("This state of the task, for `If-Match` and `If-None-Match`.", EXAMPLE_ETAG)}
_PAGE_ETAG: Final = {"ETag": _header("This state of the page, for `If-None-Match`.", '"pT2AE7c9Gqk0cVbyHyZy"')}
_LINK: Final = {"Link": _header("The next page (RFC 8288), if there is one.", '<?cursor=…>; rel="next"')}
_CACHING: Final = {
    "Cache-Control": _header("A cache must revalidate each time.", "private, no-cache, no-transform"),
    "Vary": _header("The identity header: this answer is for one user only.", USER_ID_HEADER),
}
_REQUEST_ID: Final = {"X-Request-Id": _header("The caller's own if it is well-formed, else a new one.", "0b1f7c9e")}
_LINKS: Final = {
    name: {"operationId": name, "parameters": {"task_id": "$response.body#/id"}}
    for name in ("get_task", "replace_task", "update_task", "toggle_task", "delete_task")
}
_TASK: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/Task"}}}

CREATED: Final = {"description": "The new task.", "headers": {**_LOCATION, **_ETAG, **_CACHING}, "links": _LINKS}
REPEATED: Final = {
    "description": "An earlier request with this `Idempotency-Key` created the task. The body shows it as it is now.",
    "headers": {**_LOCATION, **_ETAG, **_CACHING},
    "content": _TASK,
    "links": _LINKS,
}
SHOWN: Final = {"description": "The task.", "headers": {**_ETAG, **_CACHING}}
NOT_MODIFIED: Final = {"description": "The task has not changed.", "headers": {**_ETAG, **_CACHING}}
LISTED: Final = {"description": "A page of tasks.", "headers": {**_LINK, **_PAGE_ETAG, **_CACHING}}
PAGE_NOT_MODIFIED: Final = {**LISTED, "description": "The page has not changed."}
COUNTED: Final = {"description": "The counts.", "headers": _CACHING}
CHANGED: Final = {"description": "The tasks were changed.", "headers": _CACHING}
DELETED_MANY: Final = {"description": "The tasks were deleted.", "headers": _CACHING}
DELETED: Final = {"description": "The task was deleted.", "headers": _CACHING}


def operation_id(route: APIRoute) -> str:
    """Return the operation's name in generated clients."""
    return route.name


def also_as(media_type: str, model: type[BaseModel]) -> JsonObject:
    """Return the entry that also allows the body as this media type."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"content": {media_type: {"schema": schema}}}}


def problems(*kinds: Problem) -> dict[int | str, JsonObject]:
    """Return the responses for these problems, by status."""
    responses: dict[int | str, JsonObject] = {}
    for kind in kinds:
        narrowed: JsonObject = {"type": "object", "properties": {"type": {"type": "string", "enum": []}}}
        schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, narrowed]}
        content: JsonObject = {"schema": schema, "examples": {}}
        empty: JsonObject = {"description": kind.title, "headers": {}, "content": {MEDIA_TYPE: content}}
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
    "Accept-Patch": _header("With PATCH, if the body has another media type.", "application/merge-patch+json"),
}
CONDITIONAL: Final = problems(TASK_NOT_FOUND, PRECONDITION_FAILED)


def complete(document: JsonObject, identity: Identity) -> JsonObject:
    """Return the framework's document with what all operations share, and with the identity's scheme and header."""
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
    named: JsonObject = json.loads(json.dumps(document).replace(USER_ID_HEADER, identity.header))
    return named
