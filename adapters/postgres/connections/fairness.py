"""Who may use how many connections at once, so that no locked row and no sick shard starves the rest."""

import asyncio
from collections.abc import Hashable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final
from weakref import WeakValueDictionary

LATE_USERS_MAX: Final = 1000
"""How many late users are remembered; the first is forgotten first."""


class Shares:
    """Shares of `size` operations at once: one for each thing, and one that all late users have in common.

    A user is late whose last operation ran past its deadline, until one of theirs succeeds.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._of_things: WeakValueDictionary[Hashable, asyncio.Semaphore] = WeakValueDictionary()
        self._of_the_late = asyncio.Semaphore(size)
        self._late: dict[Hashable, None] = {}

    def of_user(self, user: Hashable) -> AbstractAsyncContextManager[None]:
        return self._of_the_late if user in self._late else nullcontext()

    def of_thing(self, thing: Hashable) -> AbstractAsyncContextManager[None]:
        if thing is None:
            return nullcontext()
        return self._of_things.get(thing) or self._of_things.setdefault(thing, asyncio.Semaphore(self._size))

    def is_late(self, user: Hashable) -> None:
        self._late[user] = None
        if len(self._late) > LATE_USERS_MAX:
            del self._late[next(iter(self._late))]

    def has_succeeded(self, user: Hashable) -> None:
        self._late.pop(user, None)
