"""The task and the values it is made from. Constructing a value validates it, so one that exists is valid."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any, Final
from uuid import UUID

from domain.errors import InvalidValue, TaskChanged

USER_ID_MAX: Final = 255
TITLE_MAX: Final = 255
DESCRIPTION_MAX: Final = 10_000
"""Limits in Unicode code points."""

Version = datetime
"""A task's `updated_at`: every change makes it greater, so no two states of a task share one."""
Versions = frozenset[Version]


class Unset(Enum):
    """Distinguishes "not mentioned" from "set to null"."""

    UNSET = auto()


UNSET: Final = Unset.UNSET
_CONTROL: Final = re.compile("[\\x00-\\x1f\\x7f-\\x9f]")
FieldValue = str | bool | None


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
        if _CONTROL.search(self.value):
            raise InvalidValue("user_id", "must not contain control characters")

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Task:
    """A task as it is stored; only a repository makes one. Times are in UTC, to the microsecond."""

    id: UUID
    owner: UserId
    title: str
    description: str | None
    completed: bool
    created_at: datetime
    updated_at: datetime

    @property
    def version(self) -> Version:
        return self.updated_at

    def require(self, expected: Versions | None) -> None:
        """Raises `TaskChanged` unless the task's version is among the expected ones, or none are given."""
        if expected is not None and self.version not in expected:
            raise TaskChanged


@dataclass(frozen=True, slots=True)
class TaskDraft:
    """All that a user says of a task: to make one, or to replace one. Raises `InvalidValue`."""

    title: str
    description: str | None = None
    completed: bool = False

    def __post_init__(self) -> None:
        for name, valid in _RULES.items():
            object.__setattr__(self, name, valid(getattr(self, name)))

    def values(self) -> dict[str, FieldValue]:
        """Every field with its value."""
        return {name: getattr(self, name) for name in _RULES}

    def may_have_made(self, task: Task) -> bool:
        """Whether the task can have come from this draft. A task that was changed since can have come from any."""
        is_changed = task.version != task.created_at
        return is_changed or all(getattr(task, name) == value for name, value in self.values().items())


@dataclass(frozen=True, slots=True)
class TaskChanges:
    """The fields of a task to change; what is `UNSET` stays as it is. Raises `InvalidValue`."""

    title: str | Unset = UNSET
    description: str | Unset | None = UNSET
    completed: bool | Unset = UNSET

    def __post_init__(self) -> None:
        for name, valid in _RULES.items():
            value = getattr(self, name)
            if value is not UNSET:
                object.__setattr__(self, name, valid(value))

    @classmethod
    def replacing_all(cls, draft: TaskDraft) -> "TaskChanges":
        return cls(**draft.values())  # type: ignore[arg-type]  # the fields are the same

    def mentioned(self) -> dict[str, FieldValue]:
        """The fields to change and their new values, in the order of the fields."""
        changes = {}
        for name in FIELDS:
            value = getattr(self, name)
            if value is not UNSET:
                changes[name] = value
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


def valid_completed(completed: bool) -> bool:
    """The flag. Raises `InvalidValue` for what only looks like one: 1, "true", null."""
    if completed is not True and completed is not False:
        raise InvalidValue("completed", "must be true or false")
    return completed


def _require_storable(field: str, text: str) -> None:
    """PostgreSQL's text cannot hold U+0000, and UTF-8 cannot hold lone surrogates."""
    if not isinstance(text, str):
        raise InvalidValue(field, "must be a text")
    if "\x00" in text:
        raise InvalidValue(field, "must not contain U+0000")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidValue(field, "must not contain lone surrogates") from None


_RULES: Final[dict[str, Callable[[Any], FieldValue]]] = {
    "title": valid_title,
    "description": valid_description,
    "completed": valid_completed,
}
"""The fields that a user sets, each with the function that returns the value to keep or raises `InvalidValue`."""
FIELDS: Final = tuple(_RULES)
