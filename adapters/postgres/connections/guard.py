"""The texts that a serving connection may send. It refuses every other text, whoever built it."""

from collections.abc import Collection, Coroutine
from dataclasses import dataclass
from typing import Any, NoReturn, Self

from psycopg import AsyncCursor, AsyncServerCursor
from psycopg.abc import Query
from psycopg.rows import TupleRow

from domain.errors import OwnershipViolation


@dataclass(frozen=True, slots=True)
class Statement:
    """A text to send, with parameters as `%(name)s`. A read may be repeated after its connection was lost."""

    text: str
    is_read: bool


def cursor_for(allowed: Collection[Statement]) -> type[AsyncCursor[TupleRow]]:
    """Return a cursor class that sends only the allowed texts. It raises `OwnershipViolation` for any other."""
    texts = frozenset(statement.text for statement in allowed)

    class GuardedCursor(AsyncCursor[TupleRow]):
        def execute(self, query: Query, *arguments: Any, **options: Any) -> Coroutine[Any, Any, Self]:
            if not isinstance(query, str) or query not in texts:
                _refuse()
            return super().execute(query, *arguments, **options)

        def _refuse_all(self, *_: Any, **__: Any) -> NoReturn:
            """The service only calls `execute`; every other way to send a statement is closed."""
            _refuse()

        executemany = stream = copy = _refuse_all

    return GuardedCursor


class NoServerCursor(AsyncServerCursor[TupleRow]):
    def __new__(cls, *_: Any, **__: Any) -> Self:
        _refuse()


def _refuse() -> NoReturn:
    raise OwnershipViolation("a statement that is not on the list was not sent")
