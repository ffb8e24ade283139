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
    """This user has no such task. Whether another user has one, nobody can tell from it."""


class TaskChanged(Exception):
    """The task is there, but not as the caller last saw it. Nothing was changed."""


class IdempotencyKeyReused(Exception):
    """The key stands for a task that was made with other values. Nothing was made."""


class OwnershipViolation(Exception):
    """A store answered with a row of somebody else. A defect: the row must not go any further."""


class StorageError(Exception):
    """The store did not do what it was asked. Nothing is said about why beyond what a stranger may read."""


class StorageUnavailable(StorageError):
    """The store could not be reached, or did not answer in time; whether a write happened may be unknown."""


class StorageOverloaded(StorageError):
    """The store has no capacity left; the operation was not started. In `seconds` there may be some again."""

    def __init__(self, text: str, seconds: int = 1) -> None:
        super().__init__(text)
        self.seconds = seconds


class StorageOutdated(StorageError):
    """The store is there, but its schema is not the one that this release needs."""
