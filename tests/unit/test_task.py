"""The values that a task is made from: valid ones are built, invalid ones are refused and never quoted."""

import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import InvalidValue
from domain.listing import Position, TaskPage
from domain.task import UNSET, Task, TaskChanges, TaskDraft, UserId

Make = Callable[[Any], object]
DraftOrChanges = type[TaskDraft] | type[TaskChanges]

ASTRAL = "\U0001d518"
CONTROL = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]
WHITE_SPACE = [character for character in map(chr, range(sys.maxunicode + 1)) if not character.strip()]
HARD = [*CONTROL, *WHITE_SPACE, "\ud800", "\udfff"]
ANY_TEXT = st.text(st.characters() | st.sampled_from(HARD)) | st.integers(250, 260).map(ASTRAL.__mul__)
UNTIMED = settings(deadline=None)  # a busy machine must not fail the test

TITLES: list[tuple[str, Make]] = [("title", TaskDraft), ("title", TaskChanges)]
DESCRIPTIONS: list[tuple[str, Make]] = [
    ("description", lambda value: TaskDraft("x", value)),
    ("description", lambda value: TaskChanges(description=value)),
]
both = pytest.mark.parametrize("kind", [TaskDraft, TaskChanges])
user_ids_and_titles = pytest.mark.parametrize(("field", "make"), [("user_id", UserId), *TITLES])
all_texts = pytest.mark.parametrize(("field", "make"), [("user_id", UserId), *TITLES, *DESCRIPTIONS])


def code_point(character: str) -> str:
    return f"U+{ord(character):04X}"


def refused(field: str, make: Make, value: object) -> str:
    """Return the reason for the refusal. It must not quote what is planted in the value."""
    with pytest.raises(InvalidValue) as refusal:
        make(value)
    assert refusal.value.field == field
    assert str(refusal.value) == f"{field} {refusal.value.reason}"
    assert "planted" not in repr(refusal.value)
    return refusal.value.reason


def storable(text: str) -> bool:
    return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text)


@all_texts
@pytest.mark.parametrize(
    ("text", "unstorable"),
    [("planted\x00", "U+0000"), ("planted\udfff", "lone surrogates"), ("\ud835\udd18", "lone surrogates")],
    ids=ascii,
)
def test_text_that_cannot_be_stored_is_refused(field: str, make: Make, text: str, unstorable: str) -> None:
    assert refused(field, make, text) == f"must not contain {unstorable}"


@all_texts
@pytest.mark.parametrize("value", [7, True, b"planted", ["planted"]])
def test_values_other_than_text_are_refused(field: str, make: Make, value: object) -> None:
    assert refused(field, make, value) == "must be a text"


@user_ids_and_titles
def test_null_is_refused(field: str, make: Make) -> None:
    assert refused(field, make, None) == "must be a text"


@user_ids_and_titles
@pytest.mark.parametrize("text", ["", "x" * 256, ASTRAL * 256, "planted" * 50], ids=["0", "256", "astral", "350"])
def test_texts_outside_1_to_255_characters_are_refused(field: str, make: Make, text: str) -> None:
    assert "1 to 255 characters" in refused(field, make, text)


@pytest.mark.parametrize(
    "text", ["x", ASTRAL, "x" * 255, ASTRAL * 255, "In side", "a|b", "é", "e\u0301", "\u202e"], ids=ascii
)
def test_a_user_id_is_kept_exactly(text: str) -> None:
    assert UserId(text).value == str(UserId(text)) == text


@pytest.mark.parametrize("control", CONTROL, ids=code_point)
def test_control_characters_in_a_user_id_are_refused(control: str) -> None:
    refused("user_id", UserId, f"planted{control}planted")


@pytest.mark.parametrize("space", WHITE_SPACE, ids=code_point)
def test_white_space_around_a_user_id_is_refused(space: str) -> None:
    for text in (f"{space}planted", f"planted{space}", space):
        assert "white space" in refused("user_id", UserId, text)


def test_user_ids_that_look_alike_differ() -> None:
    assert len({UserId(text) for text in ("alice", "Alice", "ALICE", "alic\u00e9", "alice\u0301", "\uff41lice")}) == 6


@UNTIMED
@given(ANY_TEXT)
def test_only_valid_user_ids_are_accepted(text: str) -> None:
    if 1 <= len(text) <= 255 and text == text.strip() and storable(text) and set(text).isdisjoint(CONTROL):
        assert UserId(text).value == text
    else:
        refused("user_id", UserId, text)


@both
@UNTIMED
@given(text=ANY_TEXT)
def test_only_valid_titles_are_accepted(kind: DraftOrChanges, text: str) -> None:
    if 1 <= len(text.strip()) <= 255 and storable(text):
        assert kind(title=text).title == text.strip()
    else:
        refused("title", kind, text)


@both
@pytest.mark.parametrize("space", WHITE_SPACE, ids=code_point)
def test_white_space_is_trimmed_only_around_a_title(kind: DraftOrChanges, space: str) -> None:
    assert kind(title=f"{space}\n Buy{space}milk {space}").title == f"Buy{space}milk"
    assert "1 to 255 characters" in refused("title", kind, space * 3)


@both
def test_a_titles_length_counts_after_trimming(kind: DraftOrChanges) -> None:
    assert kind(title=f"\u3000{ASTRAL * 255} \n").title == ASTRAL * 255
    assert "1 to 255 characters" in refused("title", kind, f" {ASTRAL * 256} ")


@both
@pytest.mark.parametrize("text", [None, "", " \t\n", " x\r\n", "x" * 10_000, ASTRAL * 10_000], ids=lambda _: "")
def test_a_description_is_kept_exactly(kind: DraftOrChanges, text: str | None) -> None:
    assert kind(title="x", description=text).description == text


@pytest.mark.parametrize(("field", "make"), DESCRIPTIONS)
@pytest.mark.parametrize("text", ["x" * 10_001, ASTRAL * 10_001, " " * 10_001, "planted" * 1429], ids=lambda _: "")
def test_a_description_over_10000_characters_is_refused(field: str, make: Make, text: str) -> None:
    assert refused(field, make, text) == "must have at most 10000 characters"


@both
@pytest.mark.parametrize("value", [None, 1, 0, 1.0, "true", "false", "", "planted", []])
def test_values_that_resemble_booleans_are_refused(kind: DraftOrChanges, value: object) -> None:
    reason = refused("completed", lambda completed: kind(title="x", completed=completed), value)
    assert reason == "must be true or false"


@pytest.mark.parametrize("field", ["title", "description", "completed"])
def test_a_draft_leaves_nothing_unset(field: str) -> None:
    assert TaskDraft("x") == TaskDraft("x", description=None, completed=False)
    refused(field, lambda unset: TaskDraft(**{"title": "x", field: unset}), UNSET)


@pytest.mark.parametrize(
    ("changes", "mentioned"),
    [
        (TaskChanges(), {}),
        (TaskChanges(title=" New "), {"title": "New"}),
        (TaskChanges(description=None), {"description": None}),
        (TaskChanges(description=""), {"description": ""}),
        (TaskChanges(completed=False), {"completed": False}),
        (TaskChanges(completed=True, title="New"), {"title": "New", "completed": True}),
        (TaskChanges.replacing_all(TaskDraft("x")), {"title": "x", "description": None, "completed": False}),
        (
            TaskChanges.replacing_all(TaskDraft("x", "", completed=True)),
            {"title": "x", "description": "", "completed": True},
        ),
    ],
    ids=lambda value: "" if isinstance(value, TaskChanges) else str(value),
)
def test_changes_mention_exactly_the_given_fields(changes: TaskChanges, mentioned: dict[str, object]) -> None:
    assert list(changes.mentioned().items()) == list(mentioned.items())


def test_values_are_immutable() -> None:
    now = datetime.now(UTC)
    task = Task(uuid4(), UserId("alice"), "x", None, completed=False, created_at=now, updated_at=now)
    position = Position(now, task.id)
    for value in (task, task.owner, TaskDraft("x"), TaskChanges(title="x"), position, TaskPage((task,), position)):
        for field in fields(value):
            with pytest.raises(FrozenInstanceError):
                setattr(value, field.name, getattr(value, field.name))
