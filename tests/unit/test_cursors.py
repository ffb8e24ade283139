"""Cursors: a position survives encoding, and anything else is refused, even if one bit differs."""

import string
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from struct import pack
from urllib.parse import quote
from uuid import UUID
from zlib import crc32

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.listing import Order, Position
from entrypoints.http.cursors import decode, encode

UNTIMED = settings(deadline=None)  # a busy machine must not fail the test
POSITIONS = st.builds(Position, st.datetimes(timezones=st.just(UTC)), st.uuids())
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)
TASK_ID = UUID("ffffffff-fbef-4ebe-bbef-bebfbebfefbe")
CURSOR = encode(Position(datetime(2026, 7, 1, 12, 30, 15, 123456, tzinfo=UTC), TASK_ID), Order.NEWEST)
ODD = "= \n.+/\x00é\u0660\ud800"
"""Characters that a lenient decoder skips or confuses with others."""


def assert_refused(cursor: str) -> None:
    with pytest.raises(ValueError, match=r"^is not a cursor of this service"):
        decode(cursor, Order.NEWEST)


def forged(microseconds: int) -> str:
    """Make a cursor as anybody can: the format is no secret."""
    packed = pack(">q16s", microseconds, TASK_ID.bytes)
    return urlsafe_b64encode(packed + pack(">I", crc32(packed))).decode().rstrip("=")


@UNTIMED
@given(POSITIONS, st.sampled_from(Order))
@example(Position(FIRST, UUID(int=0)), Order.NEWEST)
@example(Position(LAST, UUID(int=2**128 - 1)), Order.OLDEST)
@example(Position(EPOCH - timedelta(microseconds=1), TASK_ID), Order.NEWEST)
def test_a_position_comes_back_to_the_microsecond(position: Position, order: Order) -> None:
    decoded = decode(encode(position, order), order)
    assert decoded == position
    assert decoded.created_at.tzinfo is UTC


@UNTIMED
@given(POSITIONS, st.sampled_from(Order))
def test_a_cursor_needs_no_escape_in_a_url(position: Position, order: Order) -> None:
    cursor = encode(position, order)
    assert quote(cursor, safe="") == cursor
    assert len(cursor) == 38


def test_a_cursor_with_one_character_changed_is_refused() -> None:
    for place, original in enumerate(CURSOR):
        for other in {*string.ascii_letters, *string.digits, *"-_", *ODD} - {original}:
            assert_refused(CURSOR[:place] + other + CURSOR[place + 1 :])


def test_an_added_or_missing_character_is_refused() -> None:
    for place in range(len(CURSOR) + 1):
        for added in {"A", "-", *ODD}:
            assert_refused(CURSOR[:place] + added + CURSOR[place:])
    for place in range(len(CURSOR)):
        assert_refused(CURSOR[:place] + CURSOR[place + 1 :])


@pytest.mark.parametrize(
    "other_spelling",
    [
        CURSOR + "==",
        CURSOR.replace("-", "+").replace("_", "/"),
        f" {CURSOR} ",
        quote(f"{CURSOR}=="),
        CURSOR.swapcase(),
        CURSOR * 2,
    ],
)
def test_a_cursor_has_one_spelling(other_spelling: str) -> None:
    assert {"-", "_"} < set(CURSOR)
    assert_refused(other_spelling)


@UNTIMED
@given(st.text(st.characters()) | st.text(string.ascii_letters + string.digits + "-_=", min_size=37, max_size=41))
@example("")
@example("=" * 38)
@example("A" * 38)
@example("A" * 1_000_000)
@example("\ud800")
@example("é" * 38)
def test_foreign_text_is_refused(text: str) -> None:
    assert_refused(text)


@UNTIMED
@given(st.binary(max_size=64) | st.binary(min_size=28, max_size=28))
def test_foreign_bytes_are_refused(foreign: bytes) -> None:
    assert_refused(urlsafe_b64encode(foreign).decode().rstrip("="))


@pytest.mark.parametrize(
    "microseconds",
    [
        -(2**63),
        (FIRST - EPOCH) // timedelta(microseconds=1) - 1,
        (LAST - EPOCH) // timedelta(microseconds=1) + 1,
        2**63 - 1,
    ],
)
def test_a_time_outside_the_calendar_is_refused(microseconds: int) -> None:
    assert forged(0) == encode(Position(EPOCH, TASK_ID), Order.NEWEST)
    assert_refused(forged(microseconds))


@pytest.mark.parametrize(("order", "other"), [(Order.NEWEST, Order.OLDEST), (Order.OLDEST, Order.NEWEST)])
def test_a_cursor_belongs_to_its_order(order: Order, other: Order) -> None:
    cursor = encode(Position(EPOCH, TASK_ID), order)
    with pytest.raises(ValueError, match="for this order"):
        decode(cursor, other)
