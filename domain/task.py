"""The task and the values it is made from. Constructing a value validates it, so one that exists is valid."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Final
from unicodedata import category
from uuid import UUID

from domain.errors import InvalidValue

USER_ID_MAX: Final = 255
TITLE_MAX: Final = 255
DESCRIPTION_MAX: Final = 10_000
"""Limits in Unicode code points."""


class Unset(Enum):
    """Tells "not mentioned" from "set to null"."""

    UNSET = auto()


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True)
class UserId:
    """Who owns a task: opaque and case-sensitive. Raises `InvalidValue`."""

    value: str

    def __post_init__(self) -> None:
        _require_storable("user_id", self.value)
        if not 1 <= len(self.value) <= USER_ID_MAX:
            raise InvalidValue("user_id", f"must have 1 to {USER_ID_MAX} characters")
        if self.value != self.value.strip():
            raise InvalidValue("user_id", "must not begin or end with white space")
        if any(category(character) == "Cc" for character in self.value):
            raise InvalidValue("user_id", "must not contain control characters")

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Task:
    """A task as its store holds it; only a repository makes one. Times are UTC, to the microsecond."""

    id: UUID
    owner: UserId
    title: str
    description: str | None
    completed: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class TaskDraft:
    """What a user says of a task to be made, and all of what replaces one. Raises `InvalidValue`."""

    title: str
    description: str | None = None
    completed: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", valid_title(self.title))
        valid_description(self.description)
        _require_flag("completed", self.completed)

    def may_have_made(self, task: Task) -> bool:
        """Whether the task can have come from this draft: what was changed since can have come from any."""
        same = (self.title, self.description, self.completed) == (task.title, task.description, task.completed)
        return same or task.updated_at != task.created_at


@dataclass(frozen=True, slots=True)
class TaskChanges:
    """The fields of a task to change; what is `UNSET` stays as it is. Raises `InvalidValue`."""

    title: str | Unset = UNSET
    description: str | Unset | None = UNSET
    completed: bool | Unset = UNSET

    def __post_init__(self) -> None:
        if self.title is not UNSET:
            object.__setattr__(self, "title", valid_title(self.title))
        if self.description is not UNSET:
            valid_description(self.description)
        if self.completed is not UNSET:
            _require_flag("completed", self.completed)

    @classmethod
    def replacing_all(cls, draft: TaskDraft) -> "TaskChanges":
        return cls(draft.title, draft.description, draft.completed)

    def mentioned(self) -> dict[str, str | bool | None]:
        """The fields to change and their new values, in a fixed order."""
        changes: dict[str, str | bool | None] = {}
        if self.title is not UNSET:
            changes["title"] = self.title
        if self.description is not UNSET:
            changes["description"] = self.description
        if self.completed is not UNSET:
            changes["completed"] = self.completed
        return changes


def valid_title(title: str) -> str:
    """The title without its surrounding white space. Raises `InvalidValue`."""
    _require_storable("title", title)
    trimmed = title.strip()
    if not 1 <= len(trimmed) <= TITLE_MAX:
        raise InvalidValue("title", f"must have 1 to {TITLE_MAX} characters, surrounding white space not counted")
    return trimmed


def valid_description(description: str | None) -> str | None:
    """The description exactly as given. Raises `InvalidValue`."""
    if description is not None:
        _require_storable("description", description)
        if len(description) > DESCRIPTION_MAX:
            raise InvalidValue("description", f"must have at most {DESCRIPTION_MAX} characters")
    return description


def _require_flag(field: str, flag: bool) -> None:
    """Raises `InvalidValue` for what merely looks like one: 1, "true", null."""
    if flag is not True and flag is not False:
        raise InvalidValue(field, "must be true or false")


def _require_storable(field: str, text: str) -> None:
    """PostgreSQL's text knows no U+0000, and UTF-8 no lone surrogates."""
    if not isinstance(text, str):
        raise InvalidValue(field, "must be a text")
    if "\x00" in text:
        raise InvalidValue(field, "must not contain U+0000")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidValue(field, "must not contain lone surrogates") from None
