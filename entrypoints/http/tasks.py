"""The routes on one task. Each translates between HTTP and one call of the port."""

from typing import Annotated

from fastapi import Body, Response
from pydantic_core import to_json

from domain.task import Task, TaskChanges
from entrypoints.http import openapi, schemas
from entrypoints.http.bodies import JSON, MERGE_PATCH
from entrypoints.http.conditional import IfMatch, IfNoneMatch, is_known, task_etag
from entrypoints.http.dependencies import CurrentUser, Tasks
from entrypoints.http.idempotency import IdempotencyKeys
from entrypoints.http.route import task_router
from entrypoints.http.schemas import TaskInput, TaskPatch
from entrypoints.http.task_ids import TaskId

router = task_router()


def _response(task: Task, status: int = 200, location: dict[str, str] | None = None) -> Response:
    body = schemas.task_body(task)
    return Response(to_json(body), status, {"ETag": body["etag"], **(location or {})}, media_type=JSON)


@router.post(
    "",
    status_code=201,
    response_model=schemas.Task,
    responses={201: openapi.CREATED, 200: openapi.REPEATED, **openapi.BODY},
)
async def create_task(user: CurrentUser, tasks: Tasks, body: TaskInput, keys: IdempotencyKeys = None) -> Response:
    """Create a task for the calling user.

    With an `Idempotency-Key` a retry is safe: it answers 200 with the task that the first attempt created.
    """
    task, is_new = await tasks.add(user, body.draft(), key=keys[0] if keys else None)
    return _response(task, 201 if is_new else 200, {"Location": f"tasks/{task.id}"})


@router.get(
    "/{task_id:task}",
    response_model=schemas.Task,
    responses={200: openapi.SHOWN, 304: openapi.NOT_MODIFIED, **openapi.CONDITIONAL},
)
async def get_task(
    user: CurrentUser, tasks: Tasks, task_id: TaskId, expected: IfMatch = None, known: IfNoneMatch = None
) -> Response:
    """Read a task."""
    task = await tasks.get(user, task_id)
    task.require_version(expected)
    if is_known(task_etag(task), known):
        return Response(status_code=304, headers={"ETag": task_etag(task)})
    return _response(task)


@router.put(
    "/{task_id:task}",
    response_model=schemas.Task,
    responses={200: openapi.SHOWN, **openapi.BODY, **openapi.CONDITIONAL},
)
async def replace_task(
    user: CurrentUser, tasks: Tasks, task_id: TaskId, body: TaskInput, expected: IfMatch = None
) -> Response:
    """Replace the whole task. An absent optional field takes its default."""
    return _response(await tasks.update(user, task_id, TaskChanges.replacing_all(body.draft()), expected=expected))


@router.patch(
    "/{task_id:task}",
    response_model=schemas.Task,
    responses={200: openapi.SHOWN, **openapi.BODY, **openapi.CONDITIONAL},
    openapi_extra=openapi.also_as(JSON, TaskPatch),
)
async def update_task(
    user: CurrentUser,
    tasks: Tasks,
    task_id: TaskId,
    body: Annotated[TaskPatch, Body(media_type=MERGE_PATCH)],
    expected: IfMatch = None,
) -> Response:
    """Change the fields in the body and leave the others as they are (JSON Merge Patch, RFC 7396)."""
    return _response(await tasks.update(user, task_id, body.changes(), expected=expected))


@router.post(
    "/{task_id:task}/toggle",
    response_model=schemas.Task,
    responses={200: openapi.SHOWN, **openapi.WRITE, **openapi.CONDITIONAL},
)
async def toggle_task(user: CurrentUser, tasks: Tasks, task_id: TaskId, expected: IfMatch = None) -> Response:
    """Flip `completed`. Two toggles cancel out, whoever sends them and when."""
    return _response(await tasks.toggle(user, task_id, expected=expected))


@router.delete(
    "/{task_id:task}", status_code=204, responses={204: openapi.DELETED, **openapi.WRITE, **openapi.CONDITIONAL}
)
async def delete_task(user: CurrentUser, tasks: Tasks, task_id: TaskId, expected: IfMatch = None) -> Response:
    """Delete a task for good."""
    await tasks.delete(user, task_id, expected=expected)
    return Response(status_code=204)
