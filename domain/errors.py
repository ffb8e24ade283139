"""What can go wrong, as facts: no status codes, no drivers."""


class InvalidValue(ValueError):
    """A value breaks a rule of the domain.

    `field` names the attribute, `reason` completes the sentence "<field> …"; neither quotes the value.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field} {reason}")
        self.field = field
        self.reason = reason


class TaskNotFound(Exception):
    """This user has no such task. The error is the same whether or not another user has one."""


class TaskChanged(Exception):
    """The task exists, but its version is not one of those expected. Nothing was changed."""


class IdempotencyKeyReused(Exception):
    """The key belongs to a task that was created with other values. Nothing was created."""


class OwnershipViolation(Exception):
    """The store answered with another user's row. A defect: the row must not go any further."""


class StorageError(Exception):
    """The store did not do what it was asked. The message is safe to show to anyone."""


class StorageUnavailable(StorageError):
    """The store could not be reached or did not answer in time. A write may or may not have happened."""


class StorageOverloaded(StorageError):
    """The store has no capacity left; the operation was not started. Try again in `seconds`."""

    def __init__(self, text: str, seconds: int = 1) -> None:
        super().__init__(text)
        self.seconds = seconds


class StorageOutdated(StorageError):
    """The store is there, but its schema is not what this release needs."""
