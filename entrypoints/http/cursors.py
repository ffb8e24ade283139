"""Opaque cursor <-> position in a listing. It holds no secret and no owner: whose tasks follow is the identity's."""

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
"""Goes into the checksum, so that a cursor belongs to its order."""
LENGTH: Final = 38


def encode(position: Position, order: Order) -> str:
    """`LENGTH` characters, fit for a URL as they are. The checksum tells a typing slip from a cursor."""
    packed = _POSITION.pack((position.created_at - _EPOCH) // _MICROSECOND, position.id.bytes)
    return urlsafe_b64encode(_CHECKED.pack(packed, crc32(packed, _SEED[order]))).decode().rstrip("=")


def decode(cursor: str, order: Order) -> Position:
    """The position that `encode` was given with this order. Raises `ValueError`."""
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
