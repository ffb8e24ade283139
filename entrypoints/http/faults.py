"""What is wrong with a request's values: where it stands, and the rule that it breaks."""

from typing import Any
from urllib.parse import quote

from fastapi.exceptions import RequestValidationError

Place = tuple[str, ...]
"""Where a value stands in a request: ("header", "If-Match"), ("query", "limit"), ("body",) for all of the body."""


def invalid(reason: str, *places: Place) -> RequestValidationError:
    """To be raised where the values at these places break a rule that no model states."""
    return RequestValidationError([{"type": "taskward", "loc": place, "msg": reason} for place in places])


def pointer(location: tuple[int | str, ...]) -> str:
    """A JSON pointer (RFC 6901) into the body as a URI fragment, or the parameter's name."""
    place, *path = location
    if place != "body":
        return f"{place}: {'.'.join(map(str, path))}"
    tokens = (quote(str(step).replace("~", "~0").replace("/", "~1"), errors="replace") for step in path)
    return "#" + "".join(f"/{token}" for token in tokens)


def reason(fault: dict[str, Any]) -> str:
    """The rule that was broken, without the value that broke it."""
    broken = fault.get("ctx", {}).get("error")
    return str(getattr(broken, "reason", broken)) if broken else str(fault["msg"])
