"""Teaches Schemathesis what the API's description cannot say: valid conditions and cursors, an invalid identity."""

from itertools import count
from typing import Any

import schemathesis
from schemathesis.specs.openapi import _auth_retry

from domain.idempotency import IDEMPOTENCY_KEY_MAX
from domain.rules import USER_ID_MAX

_numbers = count()

# Sent as an identity that must be refused. Schemathesis's own choice would be a valid user id.
_auth_retry.INVALID_CREDENTIAL = "x" * (USER_ID_MAX + 1)


@schemathesis.hook
def before_call(_: schemathesis.HookContext, case: schemathesis.Case[Any], __: dict[str, Any]) -> None:
    """Make each key new: a key that was used with another body is rightly refused."""
    key = case.headers.get("Idempotency-Key")
    if key and len(key) < IDEMPOTENCY_KEY_MAX // 2:
        case.headers["Idempotency-Key"] = f"{next(_numbers)} {key}"
    if case.meta and case.meta.generation.mode == schemathesis.GenerationMode.POSITIVE:
        _make_valid(case)


def _make_valid(case: schemathesis.Case[Any]) -> None:
    """Send valid conditions and cursors: the description gives their form only in words."""
    for name, usually, sometimes in (("If-Match", "*", '"1"'), ("If-None-Match", '"1"', "*")):
        if name in case.headers:
            case.headers[name] = usually if next(_numbers) % 4 else sometimes
    if case.query and "cursor" in case.query:
        case.query["cursor"] = ""
