"""What the API's description cannot say: valid conditions and cursors, and what an invalid identity looks like."""

from itertools import count
from typing import Any

import schemathesis
from schemathesis.specs.openapi import _auth_retry

from domain.idempotency import IDEMPOTENCY_KEY_MAX
from domain.rules import USER_ID_MAX

_numbers = count()

# What the tool sends for an identity that must be refused. Its own choice would be valid here: any user id is.
_auth_retry.INVALID_CREDENTIAL = "x" * (USER_ID_MAX + 1)


@schemathesis.hook
def before_call(_: schemathesis.HookContext, case: schemathesis.Case[Any], __: dict[str, Any]) -> None:
    """Makes each key new: under one that stands for a task already, another body is refused, rightly."""
    key = case.headers.get("Idempotency-Key")
    if key and len(key) < IDEMPOTENCY_KEY_MAX // 2:
        case.headers["Idempotency-Key"] = f"{next(_numbers)} {key}"
    if case.meta and case.meta.generation.mode == schemathesis.GenerationMode.POSITIVE:
        _be_valid(case)


def _be_valid(case: schemathesis.Case[Any]) -> None:
    """Conditions and cursors have a form that the description says only in words."""
    for name, mostly, at_times in (("If-Match", "*", '"1"'), ("If-None-Match", '"1"', "*")):
        if name in case.headers:
            case.headers[name] = mostly if next(_numbers) % 4 else at_times
    if case.query and "cursor" in case.query:
        case.query["cursor"] = ""
