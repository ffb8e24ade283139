"""The messages of refusals: each names the field and the rule, and is fit to be shown to the sender."""

from collections.abc import Callable
from typing import Any

import pytest

from domain.errors import InvalidValue
from domain.idempotency import IdempotencyKey
from domain.task import TaskChanges, TaskDraft, UserId

Refused = Callable[[Any], object]


@pytest.mark.parametrize(
    ("make", "value", "message"),
    [
        (UserId, 7, "user_id must be a text"),
        (UserId, "\0", "user_id must not contain U+0000"),
        (UserId, "\ud800", "user_id must not contain lone surrogates"),
        (UserId, "", "user_id must have 1 to 255 characters"),
        (UserId, " x", "user_id must not begin or end with white space"),
        (UserId, "a\x7fb", "user_id must not contain control characters"),
        (TaskDraft, "", "title must have 1 to 255 characters, surrounding white space not counted"),
        (TaskDraft, "\0", "title must not contain U+0000"),
        (lambda text: TaskDraft("x", text), "x" * 10_001, "description must have at most 10000 characters"),
        (lambda text: TaskDraft("x", text), "\0", "description must not contain U+0000"),
        (lambda flag: TaskChanges(completed=flag), 1, "completed must be true or false"),
        (IdempotencyKey, "", "idempotency_key must have 1 to 255 characters"),
        (IdempotencyKey, "é", "idempotency_key must be printable ASCII"),
    ],
)
def test_a_refusal_names_the_field_and_the_rule(make: Refused, value: object, message: str) -> None:
    with pytest.raises(InvalidValue) as raised:
        make(value)
    assert str(raised.value) == message
    assert f"{raised.value.field} {raised.value.reason}" == message
