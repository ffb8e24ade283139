"""The contract of tasks that are added under an idempotency key."""

import asyncio
from dataclasses import replace

import pytest

from domain.errors import IdempotencyKeyReused
from domain.idempotency import IdempotencyKey
from domain.repository import TaskRepository
from domain.task import TaskChanges, TaskDraft, UserId
from tests.contract.subjects import OnDistributedKey, OnFake, OnPgBouncer, OnPostgres, Storage

KEY = IdempotencyKey("first try")
DRAFT = TaskDraft("Buy milk", "Oat", completed=True)


class IdempotencyContract:
    async def test_a_new_key_creates_a_task(self, tasks: TaskRepository, storage: Storage, alice: UserId) -> None:
        task, is_new = await tasks.add(alice, DRAFT, key=KEY)
        assert is_new
        assert (task.id, task.owner) == (KEY.task_id(alice), alice)
        assert TaskDraft(task.title, task.description, task.completed) == DRAFT
        assert task.created_at == task.updated_at
        assert storage.tasks_of(alice) == [task]

    async def test_a_repeat_returns_the_first_task(
        self, tasks: TaskRepository, storage: Storage, alice: UserId
    ) -> None:
        task, _ = await tasks.add(alice, DRAFT, key=KEY)
        assert await tasks.add(alice, DRAFT, key=KEY) == (task, False)
        assert storage.tasks_of(alice) == [task]

    async def test_one_of_fifty_concurrent_calls_creates_the_task(
        self, tasks: TaskRepository, storage: Storage, alice: UserId
    ) -> None:
        outcomes = await asyncio.gather(*(tasks.add(alice, DRAFT, key=KEY) for _ in range(50)))
        assert sorted(is_new for _, is_new in outcomes) == [False] * 49 + [True]
        (stored,) = storage.tasks_of(alice)
        assert {task for task, _ in outcomes} == {stored}

    async def test_another_key_creates_another_task(
        self, tasks: TaskRepository, storage: Storage, alice: UserId
    ) -> None:
        await tasks.add(alice, DRAFT, key=KEY)
        await tasks.add(alice, DRAFT, key=IdempotencyKey("First try"))
        assert len(storage.tasks_of(alice)) == 2

    async def test_two_users_equal_keys_never_meet(
        self, tasks: TaskRepository, storage: Storage, alice: UserId, bob: UserId
    ) -> None:
        mine, _ = await tasks.add(alice, DRAFT, key=KEY)
        his, is_new = await tasks.add(bob, TaskDraft("His"), key=KEY)
        assert is_new
        assert (storage.tasks_of(alice), storage.tasks_of(bob)) == ([mine], [his])

    @pytest.mark.parametrize(
        "other", [replace(DRAFT, title="x"), replace(DRAFT, description=None), replace(DRAFT, completed=False)]
    )
    async def test_a_repeat_with_other_values_is_refused(
        self, tasks: TaskRepository, storage: Storage, alice: UserId, other: TaskDraft
    ) -> None:
        task, _ = await tasks.add(alice, DRAFT, key=KEY)
        with pytest.raises(IdempotencyKeyReused):
            await tasks.add(alice, other, key=KEY)
        assert storage.tasks_of(alice) == [task]

    async def test_a_repeat_returns_the_changed_task(self, tasks: TaskRepository, alice: UserId) -> None:
        task, _ = await tasks.add(alice, DRAFT, key=KEY)
        changed = await tasks.update(alice, task.id, TaskChanges(title="Buy bread"))
        assert await tasks.add(alice, DRAFT, key=KEY) == (changed, False)

    async def test_a_repeat_after_deletion_creates_the_task_again(
        self, tasks: TaskRepository, storage: Storage, alice: UserId
    ) -> None:
        task, _ = await tasks.add(alice, DRAFT, key=KEY)
        await tasks.delete(alice, task.id)
        again, is_new = await tasks.add(alice, TaskDraft("Other"), key=KEY)
        assert (is_new, again.id) == (True, task.id)
        assert storage.tasks_of(alice) == [again]


class TestFake(OnFake, IdempotencyContract):
    pass


class TestPostgres(OnPostgres, IdempotencyContract):
    pass


class TestPgBouncer(OnPgBouncer, IdempotencyContract):
    pass


class TestDistributedKey(OnDistributedKey, IdempotencyContract):
    pass
