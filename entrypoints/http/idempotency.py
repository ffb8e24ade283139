"""The `Idempotency-Key` header, which makes it safe to repeat a creation. The repository judges a repeated key."""

from typing import Annotated

from fastapi import Header
from pydantic import BeforeValidator, WithJsonSchema

from domain.idempotency import IDEMPOTENCY_KEY_MAX, IdempotencyKey


def _one_key(lines: list[str]) -> tuple[IdempotencyKey, ...]:
    if len(lines) > 1:
        raise ValueError("must be sent once")
    return tuple(IdempotencyKey(line) for line in lines)


# A tuple, so that a repeated header is not mistaken for a single one.
IdempotencyKeys = Annotated[
    tuple[IdempotencyKey, ...] | None,
    BeforeValidator(_one_key),
    WithJsonSchema(
        {"type": "string", "pattern": "^[!-~]([ -~]*[!-~])?$", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_MAX}
    ),
    Header(
        alias="Idempotency-Key",
        description=f"Makes a retry safe as long as the task exists: 1 to {IDEMPOTENCY_KEY_MAX} printable ASCII "
        "characters, new for each task.",
    ),
]
