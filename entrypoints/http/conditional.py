"""Conditional requests (RFC 9110 sections 8.8.3 and 13): makes ETags, and reads If-Match and If-None-Match."""

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
# Recipients must accept empty elements in a list (section 5.6.1.2).
_TAGS: Final = re.compile(rf"[ \t,]*+{_TAG}(?:[ \t]*+,[ \t,]*+{_TAG})*+[ \t,]*+")
_ANY: Final = "*"
TAGS_MAX: Final = 100


def task_etag(task: Task) -> str:
    """Return a strong entity tag: the microseconds of `updated_at`, which no two states of a task share."""
    return f'"{(task.version - _EPOCH) // _MICROSECOND}"'


def page_etag(page: bytes) -> str:
    """Return a strong entity tag: a hash of the page."""
    return f'"{urlsafe_b64encode(blake2b(page, digest_size=15).digest()).decode()}"'


def _tags(lines: list[str] | None) -> list[str] | None:
    """Return the entity tags in all lines of a header, or `None` for no header or `*`. Raises `ValueError`."""
    value = ", ".join(lines or ()).strip(" \t")
    if lines is None or value == _ANY:
        return None
    if value.count('"') > 2 * TAGS_MAX:
        raise ValueError(f"must have at most {TAGS_MAX} entity tags")
    if not _TAGS.fullmatch(value):
        raise ValueError('must be * or a list of entity tags, each in double quotes: "…", W/"…"')
    return re.findall(_TAG, value)


def _versions(lines: list[str] | None) -> Versions | None:
    """Return the versions that a strong comparison can match. A weak or unknown tag matches none."""
    tags = _tags(lines)
    return None if tags is None else frozenset(filter(None, map(_version, tags)))


def _version(tag: str) -> Version | None:
    try:
        version = _EPOCH + int(tag.strip('"')) * _MICROSECOND
    except (ValueError, OverflowError):
        return None
    return version if tag == f'"{(version - _EPOCH) // _MICROSECOND}"' else None


def _weak_tags(lines: list[str] | None) -> frozenset[str] | None:
    """Return the tags, or `*`, for a weak comparison; `None` without a header."""
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
        description="Proceed only if the task's `ETag` is one of these; `*` matches any.",
    ),
]
IfNoneMatch = Annotated[
    frozenset[str] | None,
    BeforeValidator(_weak_tags),
    WithJsonSchema(_SCHEMA),
    Header(
        alias="If-None-Match",
        description="Answer 304 without a body if the `ETag` is still one of these; `*` matches any.",
    ),
]


def is_known(tag: str, known: frozenset[str] | None) -> bool:
    """Whether the caller already has this state."""
    return known is not None and not known.isdisjoint({_ANY, tag})
