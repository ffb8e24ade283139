"""Describes invalid values in a request: where each one is, and which rule it breaks."""

from typing import Any, Final
from urllib.parse import quote

from fastapi.exceptions import RequestValidationError

from domain.rules import FIELDS

Place = tuple[str, ...]
"""Where a value is in a request: ("header", "If-Match"), ("query", "limit"), ("body",) for the whole body."""


def invalid(reason: str, *places: Place) -> RequestValidationError:
    """Return the error to raise if the values at these places break a rule that no model states."""
    return RequestValidationError([{"type": "taskward", "loc": place, "msg": reason} for place in places])


def pointer(location: tuple[int | str, ...]) -> str:
    """Return a JSON pointer (RFC 6901) into the body as a URI fragment, or the parameter's name."""
    place, *path = location
    if place != "body":
        return f"{place}: {'.'.join(map(str, path))}" if path else str(place)
    tokens = (quote(str(step).replace("~", "~0").replace("/", "~1"), errors="replace") for step in path)
    return "#" + "".join(f"/{token}" for token in tokens)


_RULES: Final = {
    "missing": "is required",
    "string_type": "must be a text",
    "string_unicode": "must not contain lone surrogates",
    "bool_type": "must be true or false",
    "model_attributes_type": "must be an object",
    "invalid_key": "must have names without lone surrogates",
}
"""Our words for a fault, by the framework's name for it."""
_TASK_FIELDS: Final = {
    **dict.fromkeys(("id", "created_at", "updated_at", "etag"), "is the service's own: leave it out"),
    **dict.fromkeys(FIELDS, "cannot be set here"),
}
"""What is wrong if a body has a field of a task that it must not have."""


def rule(fault: dict[str, Any]) -> str:
    """Return the broken rule, without the value that breaks it."""
    if fault["type"] in {"taskward", "value_error"}:
        broken = fault["ctx"]["error"] if "ctx" in fault else fault["msg"]
        return str(getattr(broken, "reason", broken))
    if fault["type"] == "extra_forbidden":
        place, name = fault["loc"]
        return "is not known here" if place == "query" else _TASK_FIELDS.get(name, "is not a field of a task")
    return _RULES.get(fault["type"], "is of the wrong type")
