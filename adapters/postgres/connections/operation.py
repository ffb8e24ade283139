"""An operation: one statement, from its acceptance to its end."""

import asyncio
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from adapters.postgres.connections.connection import Connection
from adapters.postgres.connections.guard import Statement


@dataclass(slots=True, eq=False)
class Operation:
    statement: Statement
    parameters: Mapping[str, object]
    resource: Hashable
    user: Hashable
    accepted_at: float
    has_caller: bool = True
    connection: Connection | None = None
    """Set while the statement runs."""
    has_ended: asyncio.Event | None = None
    stopping: "asyncio.Task[None] | None" = None
    """Set when the running statement is given up: `stopping` ends it, `has_ended` says that it has ended."""
