"""The routes on tasks: from HTTP to the port and back, and no more."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query, Response

from domain.task import TaskChanges
from entrypoints.http import cursors
from entrypoints.http.dependencies import CurrentUser, Tasks
from entrypoints.http.schemas import TaskInput, TaskListOutput, TaskOutput, TaskPatch, TaskQuery

router = APIRouter(prefix="/v1/tasks", tags=["tasks"])

TaskId = Annotated[UUID, Path(description="The task's id.")]


@router.post("", status_code=201)
async def create_task(user: CurrentUser, tasks: Tasks, body: TaskInput, response: Response) -> TaskOutput:
    """Create a task of the calling user."""
    task = await tasks.add(user, body.draft())
    response.headers["Location"] = f"/v1/tasks/{task.id}"
    return TaskOutput.of(task)


@router.get("")
async def list_tasks(user: CurrentUser, tasks: Tasks, query: Annotated[TaskQuery, Query()]) -> TaskListOutput:
    """List the calling user's tasks, newest first."""
    page = await tasks.list(user, limit=query.limit, after=query.cursor, completed=query.completed)
    return TaskListOutput(
        items=[TaskOutput.of(task) for task in page.items], next_cursor=page.next and cursors.encode(page.next)
    )


@router.get("/{task_id}")
async def get_task(user: CurrentUser, tasks: Tasks, task_id: TaskId) -> TaskOutput:
    """Read a task."""
    return TaskOutput.of(await tasks.get(user, task_id))


@router.put("/{task_id}")
async def replace_task(user: CurrentUser, tasks: Tasks, task_id: TaskId, body: TaskInput) -> TaskOutput:
    """Replace all of a task; an absent optional field takes its default."""
    return TaskOutput.of(await tasks.update(user, task_id, TaskChanges.replacing_all(body.draft())))


@router.patch("/{task_id}")
async def update_task(
    user: CurrentUser,
    tasks: Tasks,
    task_id: TaskId,
    body: Annotated[TaskPatch, Body(media_type="application/merge-patch+json")],
) -> TaskOutput:
    """Change the fields that the body mentions and leave the others as they are."""
    return TaskOutput.of(await tasks.update(user, task_id, body.changes()))


@router.post("/{task_id}/toggle")
async def toggle_task(user: CurrentUser, tasks: Tasks, task_id: TaskId) -> TaskOutput:
    """Flip `completed`; two toggles cancel out, whoever sends them and when."""
    return TaskOutput.of(await tasks.toggle(user, task_id))


@router.delete("/{task_id}", status_code=204)
async def delete_task(user: CurrentUser, tasks: Tasks, task_id: TaskId) -> None:
    """Delete a task for good."""
    await tasks.delete(user, task_id)
