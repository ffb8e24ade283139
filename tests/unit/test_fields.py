"""Each field that a user sets is handled everywhere: in drafts, in changes, and for a reused key."""

from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from domain.rules import FIELDS
from domain.task import Task, TaskChanges, TaskDraft, UserId
from entrypoints.http import schemas

VALUES: dict[str, tuple[Any, Any]] = {
    "title": ("Buy milk", "Buy bread"),
    "description": ("Oat", None),
    "completed": (False, True),
}
"""Two valid values of each field."""
DRAFT = TaskDraft(**{name: first for name, (first, _) in VALUES.items()})
NOW = datetime.now(UTC)
TASK = Task(id=uuid4(), owner=UserId("alice"), **DRAFT.values(), created_at=NOW, updated_at=NOW)  # type: ignore[arg-type]  # the fields are the same


def test_the_values_cover_all_fields() -> None:
    set_by_the_service = {"id", "owner", "created_at", "updated_at"}
    assert (
        list(VALUES) == [field.name for field in fields(Task) if field.name not in set_by_the_service] == list(FIELDS)
    )


def test_bodies_have_all_fields() -> None:
    assert list(VALUES) == list(schemas.TaskInput.model_fields) == list(schemas.TaskPatch.model_fields)
    assert DRAFT.values().items() <= schemas.task_body(TASK).items()
    body = schemas.TaskInput(**{name: second for name, (_, second) in VALUES.items()})
    assert body.draft().values() == {name: second for name, (_, second) in VALUES.items()}


def test_drafts_and_changes_have_all_fields() -> None:
    assert list(VALUES) == [field.name for field in fields(TaskDraft)] == [field.name for field in fields(TaskChanges)]


@pytest.mark.parametrize("name", VALUES)
def test_a_change_mentions_only_its_field(name: str) -> None:
    assert TaskChanges(**{name: VALUES[name][1]}).mentioned() == {name: VALUES[name][1]}


def test_a_replacement_mentions_all_fields() -> None:
    assert TaskChanges.replacing_all(DRAFT).mentioned() == DRAFT.values()
    assert list(DRAFT.values()) == list(VALUES)


@pytest.mark.parametrize("name", VALUES)
def test_a_different_draft_cannot_have_created_the_task(name: str) -> None:
    assert DRAFT.may_have_created(TASK)
    assert not replace(DRAFT, **{name: VALUES[name][1]}).may_have_created(TASK)


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("kind", [TaskDraft, TaskChanges])
def test_every_field_is_validated(kind: type[TaskDraft | TaskChanges], name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must "):
        kind(**{**DRAFT.values(), name: [object()]})  # type: ignore[arg-type]  # on purpose
