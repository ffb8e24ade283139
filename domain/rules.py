"""The rules of a task's fields: their limits, and the functions that validate them."""

from collections.abc import Callable
from typing import Any, Final

from domain.errors import InvalidValue

USER_ID_MAX: Final = 255
TITLE_MAX: Final = 255
DESCRIPTION_MAX: Final = 10_000
"""Limits in Unicode code points."""


def valid_title(title: str) -> str:
    """The title without its surrounding white space. Raises `InvalidValue`."""
    require_storable("title", title)
    trimmed = title.strip()
    if not 1 <= len(trimmed) <= TITLE_MAX:
        raise InvalidValue("title", f"must have 1 to {TITLE_MAX} characters, surrounding white space not counted")
    return trimmed


def valid_description(description: str | None) -> str | None:
    """The description exactly as given. Raises `InvalidValue`."""
    if description is not None:
        require_storable("description", description)
        if len(description) > DESCRIPTION_MAX:
            raise InvalidValue("description", f"must have at most {DESCRIPTION_MAX} characters")
    return description


def valid_completed(completed: bool) -> bool:
    """The flag. Raises `InvalidValue` for what only looks like one: 1, "true", null."""
    if completed is not True and completed is not False:
        raise InvalidValue("completed", "must be true or false")
    return completed


def require_storable(field: str, text: str) -> None:
    """Raise `InvalidValue` for U+0000, which PostgreSQL cannot store, and lone surrogates, which UTF-8 cannot."""
    if not isinstance(text, str):
        raise InvalidValue(field, "must be a text")
    if "\x00" in text:
        raise InvalidValue(field, "must not contain U+0000")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidValue(field, "must not contain lone surrogates") from None


RULES: Final[dict[str, Callable[[Any], object]]] = {
    "title": valid_title,
    "description": valid_description,
    "completed": valid_completed,
}
"""The fields that a user sets. Each function returns the value to store, or raises `InvalidValue`."""
FIELDS: Final = tuple(RULES)
