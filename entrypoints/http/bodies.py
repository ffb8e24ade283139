"""Request bodies, read strictly: by itself the parser takes the last of several equal fields, and NaN for a number."""

import asyncio
import json
from collections import Counter
from typing import Final

from fastapi import Request

from entrypoints.http.faults import invalid

JSON: Final = "application/json"
BODY_SECONDS: Final = 20.0
"""Within which a body, all of it, has to come."""
MERGE_PATCH: Final = "application/merge-patch+json"
NAMES_MAX: Final = 100
"""Of fields in a body, of parameters in a query."""


class MalformedBody(Exception):
    """The body is empty, cut short, or not JSON (RFC 8259) in UTF-8."""


class BodyTooSlow(Exception):
    """The rest of the body did not come in time."""


class BodyTooLarge(Exception):
    """The body has more bytes than are allowed; the rest of it was not read."""


class UnsupportedMediaType(Exception):
    """The body is of another kind than the route takes. Its text and its headers say what is."""

    def __init__(self, text: str, headers: dict[str, str]) -> None:
        super().__init__(text)
        self.headers = headers


async def read_json(request: Request, max_bytes: int) -> object:
    """The value that the body is.

    Raises `MalformedBody`, `BodyTooSlow`, `BodyTooLarge`, `UnsupportedMediaType`, and `RequestValidationError` for JSON
    that could be understood in more than one way.
    """
    headers = dict(request.scope["headers"])
    length = headers.get(b"content-length")
    if length == b"0" or (length is None and b"transfer-encoding" not in headers):
        raise MalformedBody
    is_patch = request.method == "PATCH"
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")
    if kind != JSON and not (is_patch and kind == MERGE_PATCH):
        accepted = {"Accept-Patch": f"{MERGE_PATCH}, {JSON}"} if is_patch else {}
        raise UnsupportedMediaType("Send the body as application/json and say so.", accepted)
    if b"content-encoding" in headers:
        raise UnsupportedMediaType("Send the body without a content encoding.", {"Accept-Encoding": "identity"})
    if length is not None and int(length) > max_bytes:  # the server has refused what is no number
        raise BodyTooLarge
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            is_more = True
            while is_more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise MalformedBody
                body += message.get("body", b"")
                if len(body) > max_bytes:
                    raise BodyTooLarge
                is_more = message.get("more_body", False)
    except TimeoutError:
        raise BodyTooSlow from None
    return parse(bytes(body))


def parse(body: bytes) -> object:
    """The value of a JSON text. Raises `MalformedBody` and `RequestValidationError`."""
    repeated: list[str] = []
    names = 0

    def fields_of(pairs: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal names
        names += max(1, len(pairs))
        if names > NAMES_MAX:
            raise invalid(f"must have at most {NAMES_MAX} names", ("body",))
        fields = dict(pairs)
        if len(fields) < len(pairs):
            times = Counter(name for name, _ in pairs)
            repeated[:] = [name for name in times if times[name] > 1]
        else:
            repeated.clear()
        return fields

    try:
        value = json.loads(body.decode(), object_pairs_hook=fields_of, parse_constant=_refuse, parse_float=_number)
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise MalformedBody from None
    except RecursionError:
        raise invalid("is nested too deeply", ("body",)) from None
    except ValueError:
        raise invalid("holds a number with too many digits", ("body",)) from None
    if repeated and isinstance(value, dict):  # they are the outermost object's, which is read last
        raise invalid("must be given once", *(("body", name) for name in repeated))
    return value


def _number(text: str) -> int | float:
    """2.0 is an integer (JSON Schema, section 4.2.3 of its core)."""
    number = float(text)
    return int(number) if number.is_integer() else number


def _refuse(_: str) -> None:
    """NaN and Infinity."""
    raise MalformedBody
