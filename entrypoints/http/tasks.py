"""The routes on tasks: from HTTP to the port and back, and no more."""

from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query, Response
from pydantic import BeforeValidator
from starlette.requests import Request

from domain.listing import ListQuery
from domain.task import Task, TaskChanges
from entrypoints.http import cursors, openapi, schemas
from entrypoints.http.bodies import JSON, MERGE_PATCH
from entrypoints.http.conditional import IfMatch, IfNoneMatch, etag, is_known
from entrypoints.http.dependencies import CurrentUser, Tasks
from entrypoints.http.idempotency import IdempotencyKeys
from entrypoints.http.problems import (
    BODY_TOO_LARGE,
    DATABASE_UNAVAILABLE,
    IDENTITY_REQUIRED,
    INTERNAL_ERROR,
    INVALID_REQUEST,
    MALFORMED_BODY,
    OVERLOADED,
    PRECONDITION_FAILED,
    REQUEST_TIMEOUT,
    TASK_NOT_FOUND,
    UNSUPPORTED_MEDIA_TYPE,
)
from entrypoints.http.route import StrictRoute
from entrypoints.http.schemas import TaskInput, TaskPage, TaskPatch, TaskQuery

router = APIRouter(
    prefix="/v1/tasks",
    tags=["tasks"],
    route_class=StrictRoute,
    generate_unique_id_function=openapi.operation_id,
    responses=openapi.problems(IDENTITY_REQUIRED, INVALID_REQUEST, INTERNAL_ERROR, DATABASE_UNAVAILABLE, OVERLOADED),
)
_BODY = openapi.problems(MALFORMED_BODY, REQUEST_TIMEOUT, BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE)
_CONDITIONAL = openapi.problems(TASK_NOT_FOUND, PRECONDITION_FAILED)

TaskId = Annotated[
    UUID, BeforeValidator(schemas.plain_uuid), Path(description="The task's id.", examples=[openapi.EXAMPLE_ID])
]


def _task(task: Task, status: int = 200, location: dict[str, str] | None = None) -> Response:
    return Response(schemas.task_json(task), status, {"ETag": etag(task), **(location or {})}, media_type=JSON)


@router.post(
    "",
    status_code=201,
    response_model=schemas.Task,
    responses={201: openapi.CREATED, 200: openapi.REPEATED, **_BODY},
)
async def create_task(user: CurrentUser, tasks: Tasks, body: TaskInput, keys: IdempotencyKeys = None) -> Response:
    """Create a task of the calling user.

    With an `Idempotency-Key` a retry is safe: it answers 200 with the task that the first attempt made.
    """
    task, is_new = await tasks.add(user, body.draft(), key=keys[0] if keys else None)
    return _task(task, 201 if is_new else 200, {"Location": f"/v1/tasks/{task.id}"})


@router.get("", response_model=TaskPage, responses={200: openapi.LISTED})
async def list_tasks(
    request: Request, user: CurrentUser, tasks: Tasks, query: Annotated[TaskQuery, Query()]
) -> Response:
    """List the calling user's tasks, newest first.

    Go on with the `cursor` that `next_cursor` or the `Link` header names. Walking so yields every task that existed
    throughout exactly once, whatever is added or removed meanwhile.
    """
    page = await tasks.list(user, ListQuery(query.limit, query.cursor, query.completed))
    cursor = cursors.encode(page.next) if page.next else None
    headers = {}
    if cursor:
        following = urlencode({**request.query_params, "cursor": cursor})
        headers["Link"] = f'</v1/tasks?{following}>; rel="next"'
    return Response(schemas.page_json(page.items, cursor), headers=headers, media_type=JSON)


@router.get(
    "/{task_id}", response_model=schemas.Task, responses={200: openapi.SHOWN, 304: openapi.NOT_MODIFIED, **_CONDITIONAL}
)
async def get_task(
    user: CurrentUser, tasks: Tasks, task_id: TaskId, expected: IfMatch = None, known: IfNoneMatch = None
) -> Response:
    """Read a task."""
    task = await tasks.get(user, task_id)
    task.require(expected)
    if is_known(task, known):
        return Response(status_code=304, headers={"ETag": etag(task)})
    return _task(task)


@router.put("/{task_id}", response_model=schemas.Task, responses={200: openapi.SHOWN, **_BODY, **_CONDITIONAL})
async def replace_task(
    user: CurrentUser, tasks: Tasks, task_id: TaskId, body: TaskInput, expected: IfMatch = None
) -> Response:
    """Replace all of a task; an absent optional field takes its default."""
    return _task(await tasks.update(user, task_id, TaskChanges.replacing_all(body.draft()), expected=expected))


@router.patch(
    "/{task_id}",
    response_model=schemas.Task,
    responses={200: openapi.SHOWN, **_BODY, **_CONDITIONAL},
    openapi_extra=openapi.also_as(JSON, TaskPatch),
)
async def update_task(
    user: CurrentUser,
    tasks: Tasks,
    task_id: TaskId,
    body: Annotated[TaskPatch, Body(media_type=MERGE_PATCH)],
    expected: IfMatch = None,
) -> Response:
    """Change the fields that the body mentions and leave the others as they are (JSON Merge Patch, RFC 7396)."""
    return _task(await tasks.update(user, task_id, body.changes(), expected=expected))


@router.post("/{task_id}/toggle", response_model=schemas.Task, responses={200: openapi.SHOWN, **_CONDITIONAL})
async def toggle_task(user: CurrentUser, tasks: Tasks, task_id: TaskId, expected: IfMatch = None) -> Response:
    """Flip `completed`; two toggles cancel out, whoever sends them and when."""
    return _task(await tasks.toggle(user, task_id, expected=expected))


@router.delete("/{task_id}", status_code=204, responses={204: openapi.DELETED, **_CONDITIONAL})
async def delete_task(user: CurrentUser, tasks: Tasks, task_id: TaskId, expected: IfMatch = None) -> Response:
    """Delete a task for good."""
    await tasks.delete(user, task_id, expected=expected)
    return Response(status_code=204)
