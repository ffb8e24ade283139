"""The bodies of requests and answers. Shapes and types are checked here; the rules are the domain's."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema
from typing_extensions import TypedDict

from domain import task
from domain.rules import DESCRIPTION_MAX, TITLE_MAX, valid_description, valid_title
from domain.task import TaskChanges, TaskDraft
from entrypoints.http.conditional import task_etag

# U+0000 cannot be stored. A title needs a character that str.strip() keeps.
_TEXT = r"^[^\u0000]*$"
_TITLE = r"^[^\u0000]*(?:[^\s\u0000\u001c-\u001f\u0085]|\ufeff)[^\u0000]*$"

Title = Annotated[
    str,
    AfterValidator(valid_title),
    Field(
        description=f"1 to {TITLE_MAX} characters; surrounding white space is trimmed.",
        examples=["Buy milk"],
        json_schema_extra={"minLength": 1, "maxLength": TITLE_MAX, "pattern": _TITLE},
    ),
]
Description = Annotated[
    Annotated[str, Field(json_schema_extra={"maxLength": DESCRIPTION_MAX, "pattern": _TEXT})] | None,
    AfterValidator(valid_description),
    Field(description=f"At most {DESCRIPTION_MAX} characters, kept exactly as given.", examples=["Oat, two litres"]),
]

Completed = Annotated[bool, Field(description="Whether the task is done.", examples=[False])]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TaskInput(_Input):
    """A whole task, to create or replace one. An absent field takes its default."""

    # Factories keep the defaults out of the schema: generated clients treat a field with a default as always present.
    title: Title
    description: Description = Field(default_factory=lambda: None)
    completed: Completed = Field(default_factory=lambda: False)

    def draft(self) -> TaskDraft:
        return TaskDraft(**dict(self))


class TaskPatch(_Input):
    """A JSON Merge Patch (RFC 7396): an absent field stays as it is, a null clears the description."""

    # Only the fields that the client sends are used, never the factories' values. A default in place of a factory would
    # appear in the schema and be wrong there.
    title: Title = Field(default_factory=str)
    description: Description = Field(default_factory=str)
    completed: Completed = Field(default_factory=bool)

    def changes(self) -> TaskChanges:
        return TaskChanges(**self.model_dump(exclude_unset=True))


class StateChange(_Input):
    """The new state of the tasks."""

    completed: Completed


_Time = Annotated[datetime | str, WithJsonSchema({"type": "string", "format": "date-time"})]


class Task(TypedDict):
    """A task of the calling user."""

    id: Annotated[UUID, Field(examples=["6d9bbdf1-3a5a-4f43-a0d5-4b4d1a2c7f4e"])]
    title: Annotated[str, Field(examples=["Buy milk"])]
    description: Annotated[str | None, Field(examples=["Oat, two litres"])]
    completed: Annotated[bool, Field(examples=[False])]
    created_at: Annotated[
        _Time, Field(description="RFC 3339, in UTC, with six digits.", examples=["2026-11-23T09:05:02.610528Z"])
    ]
    updated_at: Annotated[
        _Time, Field(description="Increases with every change.", examples=["2026-11-23T09:05:02.610528Z"])
    ]
    etag: Annotated[str, Field(description="The task's `ETag`, for `If-Match`.", examples=['"1763888702610528"'])]


class TaskPage(TypedDict):
    """A page of tasks."""

    items: list[Task]
    next_cursor: Annotated[
        str | None,
        Field(
            description="The `cursor` of the next page; null on the last.",
            examples=["AAZHxUVDUeBtm73xOlpPQ6DVS00aLH9O3q2-7w"],
        ),
    ]


class Counts(TypedDict):
    """How many tasks the user has in each state."""

    open: Annotated[int, Field(examples=[3])]
    completed: Annotated[int, Field(examples=[7])]


class Changed(TypedDict):
    """How many tasks were changed."""

    changed: Annotated[int, Field(examples=[3])]


class Deleted(TypedDict):
    """How many tasks were deleted."""

    deleted: Annotated[int, Field(examples=[7])]


def page_body(tasks: Iterable[task.Task], next_cursor: str | None) -> TaskPage:
    return {"items": [task_body(task) for task in tasks], "next_cursor": next_cursor}


def task_body(task: task.Task) -> Task:
    """Return the task as clients see it, without its owner."""
    return {
        "id": task.id,
        "title": task.title,
        "description": task.description,
        "completed": task.completed,
        "created_at": _with_six_digits(task.created_at),
        "updated_at": _with_six_digits(task.updated_at),
        "etag": task_etag(task),
    }


def _with_six_digits(time: datetime) -> datetime | str:
    """Return a time for the serializer, which is seven times as fast as `isoformat` but drops a zero fraction."""
    return time if time.microsecond else time.isoformat(timespec="microseconds").replace("+00:00", "Z")
