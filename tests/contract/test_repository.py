"""The contract of every `TaskRepository`, tested on the fake and on PostgreSQL."""

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from domain.errors import TaskNotFound
from domain.idempotency import IdempotencyKey
from domain.listing import ListQuery, Order, Position, TaskPage
from domain.repository import TaskRepository
from domain.task import Task, TaskChanges, TaskDraft, UserId
from tests.contract.subjects import OnDistributedKey, OnFake, OnPgBouncer, OnPostgres, Storage
from tests.operations import CALLS_ON_ONE_TASK

SIMILAR_USER_IDS = (
    "alice",
    "Alice",
    "ali ce",
    "alice%",
    "alic_",
    "ali'ce",
    'ali"ce',
    "alicé",
    "alice\\",
    "\U0001d51elice",
)


class RepositoryContract:
    async def test_an_added_task_is_stored_for_its_owner(
        self, tasks: TaskRepository, storage: Storage, alice: UserId
    ) -> None:
        task, _ = await tasks.add(alice, TaskDraft("Buy milk", "Oat", completed=True))
        assert storage.tasks_of(alice) == [task]
        assert (task.owner, task.title, task.description, task.completed) == (alice, "Buy milk", "Oat", True)

    async def test_a_new_task_has_random_id_and_times(self, tasks: TaskRepository, alice: UserId) -> None:
        task, _ = await tasks.add(alice, TaskDraft("Buy milk"))
        assert task.id.version == 4
        assert task.created_at == task.updated_at
        assert task.created_at.tzinfo is UTC
        assert abs(task.created_at - datetime.now(UTC)) < timedelta(minutes=1)

    async def test_only_domain_types_come_back(self, tasks: TaskRepository, alice: UserId) -> None:
        task, _ = await tasks.add(alice, TaskDraft("Buy milk", "Oat"))
        answers = [
            task,
            await tasks.get(alice, task.id),
            await tasks.add(alice, TaskDraft("Buy bread"), key=IdempotencyKey("k")),
            await tasks.add(alice, TaskDraft("Buy bread"), key=IdempotencyKey("k")),
            await tasks.list(alice, ListQuery(limit=1)),
            await tasks.update(alice, task.id, TaskChanges()),
            await tasks.update(alice, task.id, TaskChanges(title="Buy rye")),
            await tasks.toggle(alice, task.id),
            await _answer(tasks.delete(alice, task.id)),
        ]
        domain_types = {Task, TaskPage, Position, UserId, UUID, datetime, str, bool, tuple, type(None)}
        assert {type(part) for answer in answers for part in _parts(answer)} == domain_types

    async def test_the_owner_reads_the_task(self, tasks: TaskRepository, alice: UserId) -> None:
        task, _ = await tasks.add(alice, TaskDraft("Buy milk"))
        assert await tasks.get(alice, task.id) == task

    @pytest.mark.parametrize(
        "text",
        [
            "x" * 255,
            "\U0001d518" * 255,
            "'; drop table tasks; --",
            "100 % of $1 and :name",
            "\u202e right to left",
            "\\",
        ],
    )
    async def test_text_is_kept_exactly(
        self, tasks: TaskRepository, storage: Storage, alice: UserId, text: str
    ) -> None:
        await tasks.add(alice, TaskDraft(text, text))
        (stored,) = storage.tasks_of(alice)
        assert (stored.title, stored.description) == (text, text)

    async def test_the_longest_astral_description_is_kept(self, tasks: TaskRepository, alice: UserId) -> None:
        task, _ = await tasks.add(alice, TaskDraft("Long", "\n\U0001d518" * 5000))
        assert (await tasks.get(alice, task.id)).description == "\n\U0001d518" * 5000

    async def test_an_update_changes_only_the_mentioned_fields(
        self, tasks: TaskRepository, storage: Storage, alice: UserId
    ) -> None:
        task, _ = await tasks.add(alice, TaskDraft("Buy milk", "Oat"))
        changed = await tasks.update(alice, task.id, TaskChanges(title="Buy bread"))
        assert changed == replace(task, title="Buy bread", updated_at=changed.updated_at)
        assert storage.tasks_of(alice) == [changed]

    @pytest.mark.parametrize(
        "changes",
        [
            TaskChanges(title="New"),
            TaskChanges(description="New"),
            TaskChanges(description=None),
            TaskChanges(completed=True),
            TaskChanges(title="New", description=None),
            TaskChanges(title="New", completed=True),
            TaskChanges(description="New", completed=True),
            TaskChanges(title="New", description="New", completed=True),
        ],
        ids=lambda changes: "-".join(f"{field}={value}" for field, value in changes.mentioned().items()),
    )
    async def test_every_combination_of_fields_can_be_changed(
        self, tasks: TaskRepository, alice: UserId, changes: TaskChanges
    ) -> None:
        task, _ = await tasks.add(alice, TaskDraft("Old", "Old"))
        mentioned = changes.mentioned()
        changed = await tasks.update(alice, task.id, changes)
        assert (changed.title, changed.description, changed.completed) == (
            mentioned.get("title", "Old"),
            mentioned.get("description", "Old"),
            mentioned.get("completed", False),
        )

    async def test_an_empty_update_changes_nothing(
        self, tasks: TaskRepository, storage: Storage, alice: UserId
    ) -> None:
        task, _ = await tasks.add(alice, TaskDraft("Buy milk"))
        assert await tasks.update(alice, task.id, TaskChanges()) == task
        assert storage.tasks_of(alice) == [task]

    async def test_a_toggle_flips_completed_and_nothing_else(self, tasks: TaskRepository, alice: UserId) -> None:
        task, _ = await tasks.add(alice, TaskDraft("Buy milk", "Oat"))
        once = await tasks.toggle(alice, task.id)
        twice = await tasks.toggle(alice, task.id)
        assert once == replace(task, completed=True, updated_at=once.updated_at)
        assert twice == replace(task, completed=False, updated_at=twice.updated_at)

    async def test_every_change_makes_updated_at_greater(self, tasks: TaskRepository, alice: UserId) -> None:
        versions = [(await tasks.add(alice, TaskDraft("Buy milk")))[0]]
        task_id = versions[0].id
        for _ in range(20):
            versions.append(await tasks.toggle(alice, task_id))
            versions.append(await tasks.update(alice, task_id, TaskChanges(title="Buy milk")))
        times = [version.updated_at for version in versions]
        assert times == sorted(set(times))

    @pytest.mark.parametrize("change", ["toggle", "update"])
    async def test_updated_at_grows_when_the_clock_steps_back(
        self, tasks: TaskRepository, storage: Storage, alice: UserId, change: str
    ) -> None:
        task, _ = await tasks.add(alice, TaskDraft("Buy milk"))
        future = datetime(2120, 1, 1, microsecond=5, tzinfo=UTC)
        storage.set_times(task, task.created_at, future)
        if change == "toggle":
            changed = await tasks.toggle(alice, task.id)
        else:
            changed = await tasks.update(alice, task.id, TaskChanges(completed=True))
        assert changed.updated_at == future + timedelta(microseconds=1)

    async def test_a_deleted_task_is_gone(self, tasks: TaskRepository, storage: Storage, alice: UserId) -> None:
        task, _ = await tasks.add(alice, TaskDraft("Buy milk"))
        await tasks.delete(alice, task.id)
        assert storage.tasks_of(alice) == []
        with pytest.raises(TaskNotFound):
            await tasks.get(alice, task.id)

    async def test_an_unknown_task_is_not_found(self, tasks: TaskRepository, alice: UserId) -> None:
        for call in CALLS_ON_ONE_TASK.values():
            with pytest.raises(TaskNotFound):
                await call(tasks, alice, uuid4())

    async def test_another_users_task_is_not_found_nor_changed(
        self, tasks: TaskRepository, storage: Storage, alice: UserId, bob: UserId
    ) -> None:
        task, _ = await tasks.add(alice, TaskDraft("Mine", "and only mine"))
        for call in CALLS_ON_ONE_TASK.values():
            with pytest.raises(TaskNotFound):
                await call(tasks, bob, task.id)
        assert storage.tasks_of(alice) == [task]
        assert storage.tasks_of(bob) == []

    async def test_a_listing_shows_nothing_of_another_user(
        self, tasks: TaskRepository, alice: UserId, bob: UserId
    ) -> None:
        task, _ = await tasks.add(alice, TaskDraft("Mine"))
        other, _ = await tasks.add(bob, TaskDraft("His"))
        assert (await tasks.list(alice)).items == (task,)
        assert (await tasks.list(bob)).items == (other,)
        before_all = Position(datetime(2999, 1, 1, tzinfo=UTC), uuid4())
        assert (await tasks.list(bob, ListQuery(after=before_all))).items == (other,)

    async def test_similar_user_ids_are_different_users(self, tasks: TaskRepository, alice: UserId) -> None:
        owners = [UserId(f"{alice}-{name}") for name in SIMILAR_USER_IDS]
        added = {owner: (await tasks.add(owner, TaskDraft(f"Of {owner}")))[0] for owner in owners}
        for owner, task in added.items():
            assert (await tasks.list(owner)).items == (task,)
            for stranger in owners:
                if stranger != owner:
                    with pytest.raises(TaskNotFound):
                        await tasks.get(stranger, task.id)

    async def test_a_listing_is_newest_first(self, tasks: TaskRepository, alice: UserId) -> None:
        added = [(await tasks.add(alice, TaskDraft(str(number))))[0] for number in range(5)]
        page = await tasks.list(alice)
        assert page.items == tuple(reversed(added))
        assert page.next is None

    async def test_a_listing_can_be_oldest_first(self, tasks: TaskRepository, alice: UserId) -> None:
        added = [(await tasks.add(alice, TaskDraft(str(number))))[0] for number in range(5)]
        assert await _walk(tasks, alice, ListQuery(limit=2, order=Order.OLDEST)) == added

    @pytest.mark.parametrize("order", Order)
    async def test_equal_times_are_ordered_by_id(
        self, tasks: TaskRepository, storage: Storage, alice: UserId, order: Order
    ) -> None:
        added = [(await tasks.add(alice, TaskDraft(str(number))))[0] for number in range(8)]
        for task in added:
            storage.set_times(task, added[0].created_at, added[0].updated_at)
        walked = await _walk(tasks, alice, ListQuery(limit=3, order=order))
        assert [task.id for task in walked] == sorted((task.id for task in added), reverse=order is Order.NEWEST)

    async def test_a_page_has_its_limit_and_next_position(self, tasks: TaskRepository, alice: UserId) -> None:
        added = [(await tasks.add(alice, TaskDraft(str(number))))[0] for number in range(4)]
        first = await tasks.list(alice, ListQuery(limit=2))
        assert first.items == (added[3], added[2])
        assert first.next == Position(added[2].created_at, added[2].id)
        second = await tasks.list(alice, ListQuery(limit=2, after=first.next))
        assert second.items == (added[1], added[0])
        assert second.next is None

    async def test_a_walk_meets_each_lasting_task_once(self, tasks: TaskRepository, alice: UserId) -> None:
        lasting = [(await tasks.add(alice, TaskDraft(str(number))))[0] for number in range(9)]
        doomed, _ = await tasks.add(alice, TaskDraft("Deleted on the way, once the position names it"))
        walked: list[UUID] = []
        page = await tasks.list(alice, ListQuery(limit=1))
        assert page.items == (doomed,)
        await tasks.delete(alice, doomed.id)
        while page.next is not None:
            await tasks.add(alice, TaskDraft("Added on the way"))
            page = await tasks.list(alice, ListQuery(limit=2, after=page.next))
            walked += [task.id for task in page.items]
        assert walked == [task.id for task in reversed(lasting)]

    @pytest.mark.parametrize("completed", [True, False])
    async def test_a_listing_can_be_filtered_by_state(
        self, tasks: TaskRepository, alice: UserId, *, completed: bool
    ) -> None:
        added = [(await tasks.add(alice, TaskDraft(str(n), completed=n % 2 == 0)))[0] for n in range(7)]
        wanted = [task for task in reversed(added) if task.completed is completed]
        assert await _walk(tasks, alice, ListQuery(limit=2, completed=completed)) == wanted

    async def test_concurrent_updates_of_different_fields_both_survive(
        self, tasks: TaskRepository, alice: UserId
    ) -> None:
        task, _ = await tasks.add(alice, TaskDraft("Old", "Old"))
        await asyncio.gather(
            *(tasks.update(alice, task.id, TaskChanges(title="New")) for _ in range(5)),
            *(tasks.update(alice, task.id, TaskChanges(description="New")) for _ in range(5)),
        )
        now = await tasks.get(alice, task.id)
        assert (now.title, now.description) == ("New", "New")

    async def test_concurrent_toggles_cancel_out(self, tasks: TaskRepository, alice: UserId) -> None:
        task, _ = await tasks.add(alice, TaskDraft("Buy milk"))
        versions = await asyncio.gather(*(tasks.toggle(alice, task.id) for _ in range(20)))
        assert (await tasks.get(alice, task.id)).completed is False
        assert len({version.updated_at for version in versions}) == 20


async def _answer(operation: Coroutine[object, object, object]) -> object:
    """Return the operation's real result, even if its type says `None`."""
    return await operation


def _parts(value: object) -> Iterator[object]:
    """Yield the value and every value inside it."""
    yield value
    inner = value if isinstance(value, tuple) else ()
    if is_dataclass(value):
        inner = tuple(getattr(value, field.name) for field in fields(value))
    for part in inner:
        yield from _parts(part)


async def _walk(tasks: TaskRepository, owner: UserId, query: ListQuery) -> list[Task]:
    page = await tasks.list(owner, query)
    walked = list(page.items)
    while page.next is not None:
        page = await tasks.list(owner, replace(query, after=page.next))
        walked += page.items
    return walked


class TestFake(OnFake, RepositoryContract):
    pass


class TestPostgres(OnPostgres, RepositoryContract):
    pass


class TestPgBouncer(OnPgBouncer, RepositoryContract):
    pass


class TestDistributedKey(OnDistributedKey, RepositoryContract):
    pass
