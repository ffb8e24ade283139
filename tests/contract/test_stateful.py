"""Random users do random things to random tasks. At every step PostgreSQL answers and stores the same as the fake.

The test sets the database's clock, so that even the times are equal: it stands still, leaps and steps back.
STATEFUL_EXAMPLES=1000 runs a thousand sequences, different ones each time.
"""

import asyncio
import os
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from adapters.postgres.repository import PostgresTaskRepository
from adapters.postgres.schema.revisions import create_migration_engine, upgrade
from domain.errors import IdempotencyKeyReused, TaskChanged, TaskNotFound
from domain.idempotency import IdempotencyKey
from domain.listing import PAGE_LIMIT_MAX, ListQuery, Order, Position
from domain.repository import TaskRepository
from domain.task import UNSET, Task, TaskChanges, TaskDraft, UserId, Versions
from tests.databases import own_database
from tests.executors import executor
from tests.fakes import InMemoryTaskRepository

EXAMPLES = int(os.environ.get("STATEFUL_EXAMPLES", "0"))
START = datetime(2026, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

# This `now` hides the server's own, in the table's defaults, too.
CLOCK = """
    create schema clock;
    create table clock.face as select timestamptz '2026-01-01 00:00:00+00' as shows;
    create function clock.now() returns timestamptz stable return (select shows from clock.face);
    do $$ begin
        execute format('alter database %I set search_path = public, clock, pg_catalog', current_database());
        execute format('alter database %I set synchronous_commit = off', current_database());
    end $$
"""

OWNERS = [
    UserId(value)
    for value in (
        *("ann", "Ann", "an_", "an n", "an  n", "ann%", "an%", "ann_", "ann'", "ann''", 'ann"', "ann\\", "ann\\\\"),
        *("\u00e5nn", "a\u030ann", "\u212bnn", "\uff41nn", "\U0001d51ann", "ann\u200b", "\u0430nn", "null", "1"),
    )
]
# Three owners act most of the time, so that their operations meet on the same tasks.
ANYBODY = st.sampled_from([*OWNERS[:3] * 10, *OWNERS])
OWNER_OR_ANYBODY = st.sampled_from([*[None] * 40, *OWNERS[:3] * 5, *OWNERS])
KEYS = st.sampled_from([IdempotencyKey(value) for value in ("k", "K", "k ", "%")])
TITLES = st.sampled_from(["a", "b", "A", "%", "'", "\u00e5", "a\u030a"])
DESCRIPTIONS = st.sampled_from([None, "", " ", "x"])
DRAFTS = st.builds(TaskDraft, TITLES, DESCRIPTIONS, completed=st.booleans())
KEYED_DRAFTS = st.sampled_from([TaskDraft("a"), TaskDraft("a", "x")])
CHANGES = st.builds(
    TaskChanges,
    st.just(UNSET) | TITLES,
    st.just(UNSET) | DESCRIPTIONS,
    completed=st.just(UNSET) | st.booleans(),
)
TIMES = st.integers(-3, 12).map(lambda number: START + number * MICROSECOND)
STEPS = st.sampled_from([0, 0, 1, 2, -1, -3, 10**6, -(10**6)])
VERSIONS = st.frozensets(TIMES, max_size=4)
LIMITS = st.integers(1, 4) | st.just(PAGE_LIMIT_MAX)
COMPLETED = st.none() | st.booleans()


@dataclass
class Subject:
    """The adapter on its own database, with a clock that can be set."""

    tasks: TaskRepository
    database: psycopg.Connection
    loop: asyncio.AbstractEventLoop

    def answer(self, operation: Coroutine[Any, Any, Any]) -> object:
        """Return the result, or the class of the error."""
        try:
            return self.loop.run_until_complete(operation)
        except (TaskNotFound, TaskChanged, IdempotencyKeyReused) as error:
            return type(error)

    def set_clock(self, time: datetime) -> None:
        self.database.execute("update clock.face set shows = %s", [time])

    def stored(self) -> dict[tuple[UserId, UUID], Task]:
        rows = self.database.execute(
            "select id, user_id, title, description, completed, created_at, updated_at from tasks"
        )
        tasks = [
            Task(
                task_id, UserId(owner), title, description, completed, created.astimezone(UTC), updated.astimezone(UTC)
            )
            for task_id, owner, title, description, completed, created, updated in rows
        ]
        return {(task.owner, task.id): task for task in tasks}


@pytest.fixture
def subject(server_url: str) -> Iterator[Subject]:
    with own_database(server_url) as url, closing(asyncio.new_event_loop()) as loop:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(CLOCK.encode())
        upgrade(create_migration_engine(url))
        database = executor(url)
        with psycopg.connect(url, autocommit=True) as connection:
            yield Subject(PostgresTaskRepository(database), connection, loop)
        loop.run_until_complete(database.close())


class RandomOperations(RuleBasedStateMachine):
    """One sequence of operations. Ids, versions and positions are shared: any user may try them."""

    ids = Bundle("ids")
    positions = Bundle("positions")

    def __init__(self, subject: Subject) -> None:
        super().__init__()
        self.subject = subject
        self.time = START
        self.model = InMemoryTaskRepository(clock=lambda: self.time, new_id=lambda: self.new_id)
        self.new_id: UUID
        self.subject.database.execute("truncate tasks")
        self.subject.set_clock(self.time)

    def compare(self, method: str, owner: UserId, *arguments: object, **options: object) -> Any:
        """Call both. Returns their answer, which must be equal."""
        answer: Any = self.subject.answer(getattr(self.subject.tasks, method)(owner, *arguments, **options))
        if method == "add" and not options:  # the id is random
            assert answer[0].id.version == 4
            assert answer[0].id not in {task.id for task in self.model.stored.values()}
            self.new_id = answer[0].id
        assert answer == self.subject.answer(getattr(self.model, method)(owner, *arguments, **options))
        return answer

    def expectation(self, task_id: UUID, versions: Versions | None, *, current: bool) -> Versions | None:
        """Return the versions, with the task's current one if `current` is true, whoever owns the task."""
        if versions is None or not current:
            return versions
        return versions | {task.updated_at for task in self.model.stored.values() if task.id == task_id}

    @initialize(target=ids, drafts=st.lists(st.tuples(ANYBODY, DRAFTS, STEPS), min_size=3, max_size=12))
    def begin_with_some(self, drafts: Sequence[tuple[UserId, TaskDraft, int]]) -> Any:
        tasks = []
        for owner, draft, step in drafts:
            tasks.append(self.add(owner, draft))
            self.step_the_clock(step)
        return multiple(*tasks)

    @rule(target=ids, owner=ANYBODY, draft=DRAFTS)
    def add(self, owner: UserId, draft: TaskDraft) -> tuple[UserId, UUID]:
        return owner, self.compare("add", owner, draft)[0].id

    @rule(target=ids, owner=ANYBODY, key=KEYS, draft=KEYED_DRAFTS)
    def add_under_a_key(self, owner: UserId, key: IdempotencyKey, draft: TaskDraft) -> tuple[UserId, UUID]:
        self.compare("add", owner, draft, key=key)
        return owner, key.task_id(owner)

    @rule(target=ids, owner=ANYBODY, task_id=st.uuids(version=4))
    def guess_an_id(self, owner: UserId, task_id: UUID) -> tuple[UserId, UUID]:
        return owner, task_id

    @rule(microseconds=STEPS)
    def step_the_clock(self, microseconds: int) -> None:
        self.time += microseconds * MICROSECOND
        self.subject.set_clock(self.time)

    @rule(known=ids, stranger=OWNER_OR_ANYBODY)
    def get(self, known: tuple[UserId, UUID], stranger: UserId | None) -> None:
        self.compare("get", stranger or known[0], known[1])

    @rule(
        known=ids,
        stranger=OWNER_OR_ANYBODY,
        changes=CHANGES,
        versions=st.none() | VERSIONS,
        current=st.booleans(),
    )
    def update(
        self,
        known: tuple[UserId, UUID],
        stranger: UserId | None,
        changes: TaskChanges,
        versions: Versions | None,
        current: bool,
    ) -> None:
        expected = self.expectation(known[1], versions, current=current)
        self.change("update", stranger or known[0], known[1], changes, expected=expected)

    @rule(
        known=ids,
        stranger=OWNER_OR_ANYBODY,
        versions=st.none() | VERSIONS,
        current=st.booleans(),
    )
    def toggle(
        self, known: tuple[UserId, UUID], stranger: UserId | None, versions: Versions | None, current: bool
    ) -> None:
        expected = self.expectation(known[1], versions, current=current)
        self.change("toggle", stranger or known[0], known[1], expected=expected)

    def change(self, method: str, owner: UserId, task_id: UUID, *arguments: object, expected: Versions | None) -> None:
        before = self.model.stored.get((owner, task_id))
        after = self.compare(method, owner, task_id, *arguments, expected=expected)
        if isinstance(after, Task):
            assert before is not None
            assert after.updated_at > before.updated_at or after == before

    @rule(
        known=ids,
        stranger=OWNER_OR_ANYBODY,
        versions=st.none() | VERSIONS,
        current=st.booleans(),
    )
    def delete(
        self, known: tuple[UserId, UUID], stranger: UserId | None, versions: Versions | None, current: bool
    ) -> None:
        expected = self.expectation(known[1], versions, current=current)
        self.compare("delete", stranger or known[0], known[1], expected=expected)

    @rule(
        target=positions,
        known=ids,
        stranger=OWNER_OR_ANYBODY,
        limit=LIMITS,
        after=st.none() | positions,
        completed=COMPLETED,
        order=st.sampled_from(Order),
    )
    def list(
        self,
        known: tuple[UserId, UUID],
        stranger: UserId | None,
        limit: int,
        after: Position | None,
        completed: bool | None,
        order: Order,
    ) -> Any:
        # One position in each case: ids are random, and how many tasks follow can depend on their order.
        return self.compare("list", stranger or known[0], ListQuery(limit, after, completed, order)).next

    @rule(target=positions, known=ids, time=TIMES)
    def make_position(self, known: tuple[UserId, UUID], time: datetime) -> Position:
        return Position(time, known[1])

    @rule(known=ids, limit=LIMITS, completed=COMPLETED, order=st.sampled_from(Order))
    def walk(self, known: tuple[UserId, UUID], limit: int, completed: bool | None, order: Order) -> None:
        owner, _ = known
        walked: tuple[Task, ...] = ()
        after: Position | None = None
        while True:
            page = self.compare("list", owner, ListQuery(limit, after, completed, order))
            walked += page.items
            after = page.next
            if after is None:
                break
        mine = {task for (user, _), task in self.model.stored.items() if user == owner}
        assert len(walked) == len(set(walked))
        assert set(walked) == {task for task in mine if completed in {None, task.completed}}

    @rule(known=ids)
    def count(self, known: tuple[UserId, UUID]) -> None:
        self.compare("count", known[0])

    @rule(known=ids, completed=st.booleans(), to=st.booleans())
    def update_all(self, known: tuple[UserId, UUID], completed: bool, to: bool) -> None:
        self.compare("update_all", known[0], completed=completed, to=to)

    @rule(known=ids, completed=st.booleans())
    def delete_all(self, known: tuple[UserId, UUID], completed: bool) -> None:
        self.compare("delete_all", known[0], completed=completed)

    @invariant()
    def stored_tasks_are_equal(self) -> None:
        assert self.subject.stored() == self.model.stored


def test_postgres_answers_and_stores_like_the_fake(subject: Subject) -> None:
    run_state_machine_as_test(
        lambda: RandomOperations(subject),  # type: ignore[arg-type]  # any factory serves
        settings=settings(
            max_examples=EXAMPLES or 80,
            stateful_step_count=50,
            derandomize=not EXAMPLES,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
