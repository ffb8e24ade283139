"""What goes over the wire. Shapes and types are checked here; the rules are the core's, and only called."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from domain.repository import PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX
from domain.task import DESCRIPTION_MAX, TITLE_MAX, Task, TaskChanges, TaskDraft, valid_description, valid_title
from entrypoints.http.cursors import Cursor

Title = Annotated[
    str,
    AfterValidator(valid_title),
    Field(description=f"1 to {TITLE_MAX} characters; surrounding white space is trimmed.", examples=["Buy milk"]),
]
Description = Annotated[
    str | None,
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
        mentioned: dict[str, Any] = {field: getattr(self, field) for field in self.model_fields_set}
        return TaskChanges(**mentioned)


class TaskQuery(BaseModel):
    """Which page of the listing."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=PAGE_LIMIT_MAX)] = PAGE_LIMIT_DEFAULT
    cursor: Cursor = None
    completed: bool | None = None


class TaskOutput(BaseModel):
    """A task. Times are RFC 3339 in UTC; `updated_at` grows with every change."""

    id: UUID
    title: str
    description: str | None
    completed: bool
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, task: Task) -> "TaskOutput":
        return cls(
            id=task.id,
            title=task.title,
            description=task.description,
            completed=task.completed,
            created_at=task.created_at,
            updated_at=task.updated_at,
        )


class TaskListOutput(BaseModel):
    """A page of tasks, newest first. `next_cursor` is null on the last page."""

    items: list[TaskOutput]
    next_cursor: str | None
