"""Idempotency keys: which are valid, which task id they give, and which drafts can have created a task."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidValue
from domain.idempotency import IdempotencyKey
from domain.task import Task, TaskDraft, UserId

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=255)
USERS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20).map(UserId)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@given(PRINTABLE)
def test_printable_ascii_is_a_key(text: str) -> None:
    assert IdempotencyKey(text).value == text


@pytest.mark.parametrize("text", ["", "k" * 256, "é", "a\tb", "a\x7fb", "a\nb", "\ud800"])
def test_an_invalid_key_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(InvalidValue) as error:
        IdempotencyKey(text)
    assert error.value.field == "idempotency_key"
    assert not text or text not in str(error.value)


@given(PRINTABLE.map(IdempotencyKey), USERS)
def test_a_key_always_gives_the_same_uuid_4(key: IdempotencyKey, owner: UserId) -> None:
    task_id = key.task_id(owner)
    assert task_id == key.task_id(owner)
    assert (task_id.version, task_id.variant) == (4, "specified in RFC 4122")


@given(st.lists(st.tuples(PRINTABLE.map(IdempotencyKey), USERS), unique=True))
def test_different_owner_key_pairs_never_share_an_id(pairs: list[tuple[IdempotencyKey, UserId]]) -> None:
    assert len({key.task_id(owner) for key, owner in pairs}) == len(pairs)


def test_owner_and_key_are_joined_unambiguously() -> None:
    assert IdempotencyKey("bc").task_id(UserId("a")) != IdempotencyKey("c").task_id(UserId("ab"))


@pytest.mark.parametrize("other", ["Alice", "ALICE", "alic\u00e9", "\U0001d51elice"])
def test_users_who_look_alike_share_no_id(other: str) -> None:
    assert IdempotencyKey("k").task_id(UserId(other)) != IdempotencyKey("k").task_id(UserId("alice"))


def test_the_id_derivation_never_changes() -> None:
    # With another derivation a retry after an upgrade would create a second task.
    assert IdempotencyKey("first try").task_id(UserId("alice")) == UUID("2c484608-5a60-41cd-9196-2935232c3a70")


@pytest.mark.parametrize(
    ("change", "may_have"),
    [
        ({}, True),
        ({"title": "Other"}, False),
        ({"description": None}, False),
        ({"completed": True}, False),
        ({"title": "Other", "updated_at": NOW + timedelta(microseconds=1)}, True),
    ],
)
def test_a_draft_can_create_equal_or_changed_tasks(change: dict[str, object], *, may_have: bool) -> None:
    task = Task(UUID(int=0), UserId("alice"), "Buy milk", "Oat", completed=False, created_at=NOW, updated_at=NOW)
    assert TaskDraft("Buy milk", "Oat").may_have_created(replace(task, **change)) is may_have  # type: ignore[arg-type]  # fields
