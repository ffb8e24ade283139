"""Conditional requests (RFC 9110 sections 8.8.3 and 13): a task's ETag, and what If-Match and If-None-Match ask for."""

import re
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Annotated, Final

from fastapi import Header
from pydantic import BeforeValidator, WithJsonSchema

from domain.task import Task, Version, Versions

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
# Recipients must put up with empty elements of a list (section 5.6.1.2).
_TAGS: Final = re.compile(rf"[ \t,]*+{_TAG}(?:[ \t]*+,[ \t,]*+{_TAG})*+[ \t,]*+")
_ANY: Final = "*"
TAGS_MAX: Final = 100


def etag(task: Task) -> str:
    """A strong entity tag: the microseconds of `updated_at`, which no two states of a task share."""
    return f'"{(task.version - _EPOCH) // _MICROSECOND}"'


def etag_of(page: bytes) -> str:
    """A strong entity tag of a page, by what it holds."""
    return f'"{urlsafe_b64encode(blake2b(page, digest_size=15).digest()).decode()}"'


def _tags(lines: list[str] | None) -> list[str] | None:
    """The entity tags of a header, however many lines it came in, or `None` for none or "any". Raises `ValueError`."""
    value = ", ".join(lines or ()).strip(" \t")
    if lines is None or value == _ANY:
        return None
    if value.count('"') > 2 * TAGS_MAX:
        raise ValueError(f"must have at most {TAGS_MAX} entity tags")
    if not _TAGS.fullmatch(value):
        raise ValueError('must be * or a list of entity tags, each in double quotes: "…", W/"…"')
    return re.findall(_TAG, value)


def _versions(lines: list[str] | None) -> Versions | None:
    """The versions that a strong comparison can match; a weak or foreign tag stands for none."""
    tags = _tags(lines)
    return None if tags is None else frozenset(filter(None, map(_version, tags)))


def _version(tag: str) -> Version | None:
    try:
        version = _EPOCH + int(tag.strip('"')) * _MICROSECOND
    except (ValueError, OverflowError):
        return None
    return version if tag == f'"{(version - _EPOCH) // _MICROSECOND}"' else None


def _opaque(lines: list[str] | None) -> frozenset[str] | None:
    """Tags for a weak comparison, `*` among them."""
    tags = _tags(lines)
    if tags is None:
        return None if lines is None else frozenset({_ANY})
    return frozenset(tag.removeprefix("W/") for tag in tags)


_SCHEMA: Final = {
    "type": "string",
    "pattern": r'^(\*|(W/)?"[!#-~]*"(, (W/)?"[!#-~]*")*)$',
    "examples": ['"1763888702610528"'],
}
IfMatch = Annotated[
    Versions | None,
    BeforeValidator(_versions),
    WithJsonSchema(_SCHEMA),
    Header(
        alias="If-Match",
        description="Go on only if the task's `ETag` is among these; `*` stands for any.",
    ),
]
IfNoneMatch = Annotated[
    frozenset[str] | None,
    BeforeValidator(_opaque),
    WithJsonSchema(_SCHEMA),
    Header(
        alias="If-None-Match",
        description="Answer 304 without a body if the `ETag` is still among these; `*` stands for any.",
    ),
]


def is_known(tag: str, known: frozenset[str] | None) -> bool:
    """Whether the caller has this very state already."""
    return known is not None and not known.isdisjoint({_ANY, tag})
