"""The header that makes a retry of a creation safe."""

from typing import Annotated

from fastapi import Header
from pydantic import BeforeValidator, WithJsonSchema

from domain.idempotency import IDEMPOTENCY_KEY_MAX, IdempotencyKey


def _one_key(lines: list[str]) -> tuple[IdempotencyKey, ...]:
    if len(lines) > 1:
        raise ValueError("must be sent once")
    return tuple(IdempotencyKey(line) for line in lines)


# A sequence, so that a repeated header is not taken for a single one.
IdempotencyKeys = Annotated[
    tuple[IdempotencyKey, ...] | None,
    BeforeValidator(_one_key),
    WithJsonSchema(
        {"type": "string", "pattern": "^[!-~]([ -~]*[!-~])?$", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_MAX}
    ),
    Header(
        alias="Idempotency-Key",
        description=f"Makes a retry safe: 1 to {IDEMPOTENCY_KEY_MAX} printable ASCII characters, new for each task. "
        "Holds as long as the task exists.",
    ),
]
