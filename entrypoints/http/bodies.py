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


class MalformedBody(Exception):
    """The body is empty, cut short, or not JSON (RFC 8259) in UTF-8."""


class BodyTooSlow(Exception):
    """The rest of the body did not come in time."""


class BodyTooLarge(Exception):
    """The body has more bytes than are allowed; the rest of it was not read."""


class UnsupportedMediaType(Exception):
    """The body is of another kind than the route takes."""


async def read_json(request: Request, media_types: set[str], max_bytes: int) -> object:
    """The value that the body is.

    Raises `MalformedBody`, `BodyTooSlow`, `BodyTooLarge`, `UnsupportedMediaType`, and `RequestValidationError` for JSON
    that could be understood in more than one way.
    """
    length = request.headers.get("content-length")
    if length == "0" or (length is None and "transfer-encoding" not in request.headers):
        raise MalformedBody
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in media_types:
        raise UnsupportedMediaType
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

    def fields_of(pairs: list[tuple[str, object]]) -> dict[str, object]:
        fields = dict(pairs)
        if len(fields) < len(pairs):
            times = Counter(name for name, _ in pairs)
            repeated[:] = [name for name in times if times[name] > 1]
        else:
            repeated.clear()
        return fields

    try:
        value = json.loads(body.decode(), object_pairs_hook=fields_of, parse_constant=_refuse_constant)
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise MalformedBody from None
    except RecursionError:
        raise invalid("is nested too deeply", ("body",)) from None
    except ValueError:
        raise invalid("holds a number with too many digits", ("body",)) from None
    if repeated and isinstance(value, dict):  # they are the outermost object's, which is read last
        raise invalid("must be given once", *(("body", name) for name in repeated))
    return value


def _refuse_constant(_: str) -> None:
    """NaN and Infinity."""
    raise MalformedBody
