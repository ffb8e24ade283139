"""Reads request bodies strictly. By itself the parser would keep the last of several equal fields and accept NaN."""

import asyncio
import json
from collections import Counter
from typing import Final

from fastapi import Request

from entrypoints.http.faults import invalid

JSON: Final = "application/json"
MERGE_PATCH: Final = "application/merge-patch+json"
BODY_SECONDS: Final = 20.0
"""How long the whole body may take to arrive."""
NAMES_MAX: Final = 100
"""The most fields in a body, and the most parameters in a query."""


class MalformedBody(Exception):
    """The body is empty, cut short, or not JSON (RFC 8259) in UTF-8."""


class BodyTooSlow(Exception):
    """The body did not arrive in time."""


class BodyTooLarge(Exception):
    """The body has too many bytes. The rest of it was not read."""


class UnsupportedMediaType(Exception):
    """The route does not accept this kind of body. The text and `headers` say what it accepts."""

    def __init__(self, text: str, headers: dict[str, str]) -> None:
        super().__init__(text)
        self.headers = headers


async def read_json(request: Request, max_bytes: int) -> object:
    """Return the value of the body.

    Raises `MalformedBody`, `BodyTooSlow`, `BodyTooLarge`, `UnsupportedMediaType`, and `RequestValidationError` for JSON
    that is ambiguous, has too many names, or is nested too deeply.
    """
    headers = dict(reversed(request.scope["headers"]))  # the first of a repeated header counts
    length = headers.get(b"content-length")
    if length == b"0" or (length is None and b"transfer-encoding" not in headers):
        raise MalformedBody
    is_patch = request.method == "PATCH"
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")
    if media_type != JSON and not (is_patch and media_type == MERGE_PATCH):
        accepted = {"Accept-Patch": f"{MERGE_PATCH}, {JSON}"} if is_patch else {}
        raise UnsupportedMediaType("Send the body as application/json and say so.", accepted)
    if b"content-encoding" in headers:
        raise UnsupportedMediaType("Send the body without a content encoding.", {"Accept-Encoding": "identity"})
    if length is not None and int(length) > max_bytes:  # the server refuses a length that is not a number
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
    """Return the value of a JSON text. Raises `MalformedBody` and `RequestValidationError`."""
    repeated: list[str] = []
    names = 0

    def read_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
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
        value = json.loads(body.decode(), object_pairs_hook=read_object, parse_constant=_refuse, parse_float=_number)
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise MalformedBody from None
    except RecursionError:
        raise invalid("is nested too deeply", ("body",)) from None
    except ValueError:
        raise invalid("holds a number with too many digits", ("body",)) from None
    if repeated and isinstance(value, dict):  # `repeated` is the outermost object's, which is read last
        raise invalid("must be given once", *(("body", name) for name in repeated))
    return value


def _number(text: str) -> int | float:
    """Return a number; 2.0 is an integer (JSON Schema Core, section 4.2.3)."""
    number = float(text)
    return int(number) if number.is_integer() else number


def _refuse(_: str) -> None:
    """Refuse NaN and Infinity."""
    raise MalformedBody
