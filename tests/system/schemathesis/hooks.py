"""What the API's description cannot say: values of its own formats, and what an invalid identity looks like."""

from datetime import UTC
from itertools import count
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.specs.openapi import _auth_retry

from domain.idempotency import IDEMPOTENCY_KEY_MAX
from domain.listing import Order, Position
from domain.rules import USER_ID_MAX
from entrypoints.http import cursors

_numbers = count()

# What the tool sends for an identity that must be refused. Its own choice would be valid here: any user id is.
_auth_retry.INVALID_CREDENTIAL = "x" * (USER_ID_MAX + 1)

schemathesis.openapi.format("entity-tags", st.sampled_from(["*", '"1"', 'W/"1"', '"1", W/"2", "a,b"']))
schemathesis.openapi.format("idempotency-key", st.just("attempt"))
schemathesis.openapi.format(
    "cursor",
    st.just("")
    | st.builds(
        lambda created_at, task_id: cursors.encode(Position(created_at, task_id), Order.NEWEST),
        st.datetimes(timezones=st.just(UTC)),
        st.uuids(),
    ),
)


@schemathesis.hook
def before_call(_: schemathesis.HookContext, case: schemathesis.Case[Any], __: dict[str, Any]) -> None:
    """Makes each key new: under one that stands for a task already, another body is refused, rightly."""
    key = case.headers.get("Idempotency-Key")
    if key and len(key) < IDEMPOTENCY_KEY_MAX // 2:
        case.headers["Idempotency-Key"] = f"{next(_numbers)} {key}"
