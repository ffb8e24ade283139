"""One statement on its way, from its acceptance to its end."""

import asyncio
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from adapters.postgres.connections.connection import Connection
from adapters.postgres.connections.guard import Statement


@dataclass(slots=True, eq=False)
class Operation:
    statement: Statement
    parameters: Mapping[str, object]
    about: Hashable
    user: Hashable
    accepted: float
    has_caller: bool = True
    connection: Connection | None = None
    """While its statement runs."""
    has_ended: asyncio.Event | None = None
    stopping: "asyncio.Task[None] | None" = None
    """Both are set once nobody waits for the answer any more and the statement is being ended."""
