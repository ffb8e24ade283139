"""Limits how many connections serve one resource or the late users, so that neither takes all."""

import asyncio
from collections.abc import Hashable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final
from weakref import WeakValueDictionary

LATE_USERS_MAX: Final = 1000
"""How many late users are remembered. The oldest is forgotten first."""


class Shares:
    """Each resource may have `size` operations at once, and so may all late users together.

    A user is late from an operation that was given up while it ran until one that succeeds.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._of_resources: WeakValueDictionary[Hashable, asyncio.Semaphore] = WeakValueDictionary()
        self._of_late_users = asyncio.Semaphore(size)
        self._late_users: dict[Hashable, None] = {}

    def of_user(self, user: Hashable) -> AbstractAsyncContextManager[None]:
        return self._of_late_users if user in self._late_users else nullcontext()

    def of_resource(self, resource: Hashable) -> AbstractAsyncContextManager[None]:
        if resource is None:
            return nullcontext()
        return self._of_resources.get(resource) or self._of_resources.setdefault(
            resource, asyncio.Semaphore(self._size)
        )

    def mark_late(self, user: Hashable) -> None:
        self._late_users[user] = None
        if len(self._late_users) > LATE_USERS_MAX:
            del self._late_users[next(iter(self._late_users))]

    def mark_on_time(self, user: Hashable) -> None:
        self._late_users.pop(user, None)
