"""What goes over the wire. Shapes and types are checked here; the rules are the core's, and only called."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, WithJsonSchema
from typing_extensions import TypedDict

from domain import task
from domain.listing import PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX
from domain.rules import DESCRIPTION_MAX, TITLE_MAX, valid_description, valid_title
from domain.task import TaskChanges, TaskDraft
from entrypoints.http.cursors import Cursor

# What can be stored, and in a title something that str.strip() leaves.
_TEXT = r"^[^\u0000]*$"
_TITLE = r"^[^\u0000]*[^\u0000\t-\r\u001c- \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000][^\u0000]*$"

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


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TaskInput(_Input):
    """A whole task, as it is created or replaced: an absent field takes its default."""

    title: Title
    description: Description = None
    completed: bool = False

    def draft(self) -> TaskDraft:
        return TaskDraft(self.title, self.description, self.completed)


class TaskPatch(_Input):
    """A JSON Merge Patch (RFC 7396): an absent field stays as it is, a null description is cleared."""

    # The factories' values are never used: only what the client mentions counts. Unlike a default they do not appear
    # in the schema, where they would promise what does not happen.
    title: Title = Field(default_factory=str)
    description: Description = Field(default_factory=str)
    completed: bool = Field(default_factory=bool)

    def changes(self) -> TaskChanges:
        return TaskChanges(**self.model_dump(exclude_unset=True))


def plain_uuid(value: object) -> object:
    """Refuses the spellings of an id (in braces, as a URN, without hyphens) in which it is not given out."""
    if not re.fullmatch("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", str(value)):
        raise ValueError("must be a UUID")
    return value


def _from_text(value: object) -> object:
    """The boolean or integer that the text spells; lenient parsing takes "on" for the one and 1.0 for the other."""
    if value in {"true", "false"}:
        return value == "true"
    return int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value) else value


class TaskQuery(BaseModel):
    """Which page of the listing."""

    model_config = ConfigDict(extra="forbid", strict=True)

    limit: Annotated[
        int,
        Field(ge=1, le=PAGE_LIMIT_MAX, description="How many tasks at most."),
        BeforeValidator(_from_text),
    ] = PAGE_LIMIT_DEFAULT
    cursor: Cursor = None
    completed: Annotated[
        bool | None,
        BeforeValidator(_from_text),
        WithJsonSchema({"type": "boolean", "description": "Only the tasks that are, or are not, completed."}),
    ] = None


class Task(TypedDict):
    """A task of the calling user."""

    id: Annotated[UUID, Field(examples=["6d9bbdf1-3a5a-4f43-a0d5-4b4d1a2c7f4e"])]
    title: Annotated[str, Field(examples=["Buy milk"])]
    description: Annotated[str | None, Field(examples=["Oat, two litres"])]
    completed: Annotated[bool, Field(examples=[False])]
    created_at: Annotated[datetime, Field(description="RFC 3339, in UTC.", examples=["2026-11-23T09:05:02.610528Z"])]
    updated_at: Annotated[
        datetime, Field(description="Grows with every change.", examples=["2026-11-23T09:05:02.610528Z"])
    ]


class TaskPage(TypedDict):
    """A page of tasks, newest first."""

    items: list[Task]
    next_cursor: Annotated[
        str | None,
        Field(
            description="Leads to the next page; null on the last.", examples=["AAZHxUVDUeBtm73xOlpPQ6DVS00aLH9O3q2-7w"]
        ),
    ]


_TASK: Final = TypeAdapter(Task)
_PAGE: Final = TypeAdapter(TaskPage)


def task_json(task: task.Task) -> bytes:
    return _TASK.dump_json(_shown(task))


def page_json(tasks: Iterable[task.Task], next_cursor: str | None) -> bytes:
    return _PAGE.dump_json({"items": [_shown(task) for task in tasks], "next_cursor": next_cursor})


def _shown(task: task.Task) -> Task:
    """Without its owner."""
    return {
        "id": task.id,
        "title": task.title,
        "description": task.description,
        "completed": task.completed,
        "created_at": task.created_at,
        "updated_at": task.updated_at,
    }
