"""Idempotency keys: a retry under the same key finds the task that the first attempt created.

`TaskDraft.may_have_created` decides whether the retry is the same.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from uuid import UUID

from domain.errors import InvalidValue
from domain.task import UserId

IDEMPOTENCY_KEY_MAX: Final = 255
"""Characters."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """Identifies one creation of a task, so that a retry does not create a second one. Raises `InvalidValue`."""

    value: str

    def __post_init__(self) -> None:
        if not 1 <= len(self.value) <= IDEMPOTENCY_KEY_MAX:
            raise InvalidValue("idempotency_key", f"must have 1 to {IDEMPOTENCY_KEY_MAX} characters")
        if not (self.value.isascii() and self.value.isprintable()):
            raise InvalidValue("idempotency_key", "must be printable ASCII")

    def task_id(self, owner: UserId) -> UUID:
        """The id of the one task that this owner has under this key: a hash in the form of a UUID version 4."""
        # Neither value can contain U+0000, so no two pairs join to the same text.
        return UUID(bytes=sha256(f"{owner.value}\0{self.value}".encode()).digest()[:16], version=4)
