"""The task and the values it is made from. Constructing a value validates it, so every value that exists is valid."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Final
from uuid import UUID

from domain.errors import InvalidValue, TaskChanged
from domain.rules import FIELDS, RULES, USER_ID_MAX, require_storable

Version = datetime
"""A task's `updated_at`: every change makes it greater, so no two states of a task share one."""
Versions = frozenset[Version]


class Unset(Enum):
    """Distinguishes "not mentioned" from "set to null"."""

    UNSET = auto()


UNSET: Final = Unset.UNSET
_CONTROL: Final = re.compile("[\\x00-\\x1f\\x7f-\\x9f]")


@dataclass(frozen=True, slots=True)
class UserId:
    """Who owns a task: opaque and case-sensitive. Raises `InvalidValue`."""

    value: str

    def __post_init__(self) -> None:
        require_storable("user_id", self.value)
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

    def require_version(self, expected: Versions | None) -> None:
        """Raise `TaskChanged` if versions are expected and the task's is not one of them."""
        if expected is not None and self.version not in expected:
            raise TaskChanged


@dataclass(frozen=True, slots=True)
class TaskDraft:
    """Every field that a user sets, to create a task or to replace one. Raises `InvalidValue`."""

    title: str
    description: str | None = None
    completed: bool = False

    def __post_init__(self) -> None:
        for name, valid in RULES.items():
            object.__setattr__(self, name, valid(getattr(self, name)))

    def values(self) -> dict[str, object]:
        """Every field with its value."""
        return {name: getattr(self, name) for name in RULES}

    def may_have_created(self, task: Task) -> bool:
        """Whether this draft can have created the task. True for any draft once the task was changed."""
        is_changed = task.version != task.created_at
        return is_changed or all(getattr(task, name) == value for name, value in self.values().items())


@dataclass(frozen=True, slots=True)
class TaskChanges:
    """The fields of a task to change; what is `UNSET` stays as it is. Raises `InvalidValue`."""

    title: str | Unset = UNSET
    description: str | Unset | None = UNSET
    completed: bool | Unset = UNSET

    def __post_init__(self) -> None:
        for name, valid in RULES.items():
            value = getattr(self, name)
            if value is not UNSET:
                object.__setattr__(self, name, valid(value))

    @classmethod
    def replacing_all(cls, draft: TaskDraft) -> "TaskChanges":
        return cls(**draft.values())  # type: ignore[arg-type]  # the fields are the same

    def mentioned(self) -> dict[str, object]:
        """The fields to change and their new values, in the order of the fields."""
        changes = {}
        for name in FIELDS:
            value = getattr(self, name)
            if value is not UNSET:
                changes[name] = value
        return changes
