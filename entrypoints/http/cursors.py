"""Opaque cursor <-> position in a listing. It holds no secret and no owner: whose tasks follow is the identity's."""

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID
from zlib import crc32

from pydantic import BeforeValidator, WithJsonSchema

from domain.listing import Position

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_POSITION: Final = struct.Struct(">q16s")
_CHECKED: Final = struct.Struct(f">{_POSITION.size}sI")


def encode(position: Position) -> str:
    """38 characters, fit for a URL as they are. The checksum tells a typing slip from a cursor."""
    packed = _POSITION.pack((position.created_at - _EPOCH) // _MICROSECOND, position.id.bytes)
    return urlsafe_b64encode(_CHECKED.pack(packed, crc32(packed))).decode().rstrip("=")


def decode(cursor: str) -> Position:
    """The position that `encode` was given. Raises `ValueError`."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        packed, _ = _CHECKED.unpack(urlsafe_b64decode(padded))
        microseconds, task_id = _POSITION.unpack(packed)
        position = Position(_EPOCH + microseconds * _MICROSECOND, UUID(bytes=task_id))
    except (ValueError, struct.error, OverflowError):
        raise ValueError("is not a cursor of this service") from None
    if encode(position) != cursor:
        raise ValueError("is not a cursor of this service")
    return position


def _from_query(value: Any) -> Any:
    return decode(value) if value else None


Cursor = Annotated[
    Position | None,
    BeforeValidator(_from_query),
    WithJsonSchema(
        {
            "type": "string",
            "format": "cursor",
            "description": "`next_cursor` of the page before; empty means the first page.",
        }
    ),
]
