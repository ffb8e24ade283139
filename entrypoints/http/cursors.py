"""Turns a position in a list into an opaque cursor and back.

A cursor holds no secret and no owner: the identity decides whose tasks are listed.
"""

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID
from zlib import crc32

from domain.listing import Order, Position

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_POSITION: Final = struct.Struct(">q16s")
_CHECKED: Final = struct.Struct(f">{_POSITION.size}sI")
_SEED: Final = {Order.NEWEST: 0, Order.OLDEST: 1}
"""Part of the checksum, so that a cursor is valid for its order only."""
LENGTH: Final = 38


def encode(position: Position, order: Order) -> str:
    """Return `LENGTH` URL-safe characters. Their checksum reveals a typing error."""
    packed = _POSITION.pack((position.created_at - _EPOCH) // _MICROSECOND, position.id.bytes)
    return urlsafe_b64encode(_CHECKED.pack(packed, crc32(packed, _SEED[order]))).decode().rstrip("=")


def decode(cursor: str, order: Order) -> Position:
    """Return the position that `encode` was given with this order. Raises `ValueError`."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        packed, _ = _CHECKED.unpack(urlsafe_b64decode(padded))
        microseconds, task_id = _POSITION.unpack(packed)
        position = Position(_EPOCH + microseconds * _MICROSECOND, UUID(bytes=task_id))
    except (ValueError, struct.error, OverflowError):
        raise ValueError("is not a cursor of this service") from None
    if encode(position, order) != cursor:
        raise ValueError("is not a cursor of this service for this order")
    return position
