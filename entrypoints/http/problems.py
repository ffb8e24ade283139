"""Every problem that the API answers with (RFC 9457). Only this file knows their statuses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import JSONResponse

_PATH_CHARACTERS: Final = "/%:@!$&'()*+,;=~"  # what a path may hold unescaped: RFC 3986 section 3.3
MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:taskward:problem:"


@dataclass(frozen=True, slots=True)
class Problem:
    status: int
    type: str
    title: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)
    errors: Sequence[dict[str, str]] = ()

    def body(self, instance: str, request_id: str) -> dict[str, object]:
        body: dict[str, object] = {
            "type": f"{TYPE_PREFIX}{self.type}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            "request_id": request_id,
        }
        return {**body, "errors": self.errors} if self.errors else body

    def response(self, request: Request) -> JSONResponse:
        sent = request.scope.get("raw_path") or request.scope["path"]
        body = self.body(quote(sent, safe=_PATH_CHARACTERS), request.state.request_id)
        headers = {"Cache-Control": "no-store", **self.headers}  # it holds for one user at one moment
        return JSONResponse(body, self.status, headers, media_type=MEDIA_TYPE)


_RETRY_SOON: Final = {"Retry-After": "1"}

MALFORMED_BODY: Final = Problem(
    400, "malformed-body", "Malformed body", "The body is empty, cut short, or not JSON in UTF-8."
)
IDENTITY_REQUIRED: Final = Problem(
    401,
    "identity-required",
    "Identity required",
    "Send the header X-User-Id exactly once.",
    {"WWW-Authenticate": 'APIKey in="header", name="X-User-Id"'},
)
CROSS_SITE: Final = Problem(403, "cross-site", "Cross-site request", "A page of another site may not do this.")
NOT_FOUND: Final = Problem(404, "not-found", "Not found", "There is nothing at this path.")
TASK_NOT_FOUND: Final = Problem(404, "task-not-found", "Task not found", "You have no task with this id.")
METHOD_NOT_ALLOWED: Final = Problem(
    405, "method-not-allowed", "Method not allowed", "This path does not know the method: see Allow."
)
REQUEST_TIMEOUT: Final = Problem(408, "request-timeout", "Request timeout", "The body did not come in time.")
PRECONDITION_FAILED: Final = Problem(
    412, "precondition-failed", "Precondition failed", "The task has changed: its ETag is not among those of If-Match."
)
BODY_TOO_LARGE: Final = Problem(
    413, "body-too-large", "Body too large", "The body has more bytes than this service takes."
)
UNSUPPORTED_MEDIA_TYPE: Final = Problem(
    415, "unsupported-media-type", "Unsupported media type", "Send the body as application/json and say so."
)
MISDIRECTED_REQUEST: Final = Problem(
    421,
    "misdirected-request",
    "Misdirected request",
    "The Host header names another server. The setting HOST adds a name.",
)
INVALID_REQUEST: Final = Problem(422, "invalid-request", "Invalid request", "A value breaks a rule: see errors.")
INTERNAL_ERROR: Final = Problem(500, "internal-error", "Internal error", "A defect in the service; it has been logged.")
DATABASE_UNAVAILABLE: Final = Problem(
    503, "database-unavailable", "Database unavailable", "The database did not answer in time.", _RETRY_SOON
)
OVERLOADED: Final = Problem(
    503,
    "overloaded",
    "Overloaded",
    "The service has more requests than it can serve; nothing was done.",
    _RETRY_SOON,
)
SCHEMA_OUTDATED: Final = Problem(
    503, "schema-outdated", "Schema outdated", "The database's schema is not the one this release needs.", _RETRY_SOON
)

ALL_PROBLEMS: Final = tuple(value for value in globals().values() if isinstance(value, Problem))
