"""The contract of counts, and of changes to all of a user's tasks in one state."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.listing import TaskCounts
from domain.repository import TaskRepository
from domain.task import Task, TaskDraft, UserId
from tests.contract.subjects import OnDistributedKey, OnFake, OnPgBouncer, OnPostgres, Storage

FUTURE = datetime(2120, 1, 1, microsecond=5, tzinfo=UTC)


async def add_some(tasks: TaskRepository, owner: UserId, *, still_open: int, completed: int) -> list[Task]:
    drafts = [TaskDraft(str(number), completed=number >= still_open) for number in range(still_open + completed)]
    return [(await tasks.add(owner, draft))[0] for draft in drafts]


class BulkContract:
    async def test_without_tasks_nothing_is_counted_or_changed(self, tasks: TaskRepository, alice: UserId) -> None:
        assert await tasks.count(alice) == TaskCounts(open=0, completed=0)
        assert await tasks.update_all(alice, completed=False, to=True) == 0
        assert await tasks.delete_all(alice, completed=True) == 0

    async def test_tasks_are_counted_by_state(self, tasks: TaskRepository, alice: UserId, bob: UserId) -> None:
        await add_some(tasks, alice, still_open=3, completed=2)
        await add_some(tasks, bob, still_open=1, completed=4)
        assert await tasks.count(alice) == TaskCounts(open=3, completed=2)

    @pytest.mark.parametrize("completed", [True, False])
    async def test_only_tasks_in_the_state_change(
        self, tasks: TaskRepository, storage: Storage, alice: UserId, *, completed: bool
    ) -> None:
        before = await add_some(tasks, alice, still_open=2, completed=3)
        assert await tasks.update_all(alice, completed=completed, to=not completed) == (3 if completed else 2)
        after = storage.tasks_of(alice)
        assert {task.completed for task in after} == {not completed}
        for old, new in zip(before, sorted(after, key=lambda task: task.title), strict=True):
            if old.completed is completed:
                assert new == replace(old, completed=not completed, updated_at=new.updated_at)
                assert new.updated_at > old.updated_at
            else:
                assert new == old

    async def test_each_changed_task_gets_its_own_version(
        self, tasks: TaskRepository, storage: Storage, alice: UserId
    ) -> None:
        for number, task in enumerate(await add_some(tasks, alice, still_open=3, completed=0)):
            storage.set_times(task, task.created_at, FUTURE + timedelta(number))
        await tasks.update_all(alice, completed=False, to=True)
        expected = [FUTURE + timedelta(number, microseconds=1) for number in range(3)]
        assert sorted(task.updated_at for task in storage.tasks_of(alice)) == expected

    async def test_setting_the_same_state_is_a_change(self, tasks: TaskRepository, alice: UserId) -> None:
        (task,) = await add_some(tasks, alice, still_open=0, completed=1)
        assert await tasks.update_all(alice, completed=True, to=True) == 1
        assert (await tasks.get(alice, task.id)).version > task.version

    @pytest.mark.parametrize("completed", [True, False])
    async def test_only_tasks_in_the_state_are_deleted(
        self, tasks: TaskRepository, storage: Storage, alice: UserId, *, completed: bool
    ) -> None:
        before = await add_some(tasks, alice, still_open=2, completed=3)
        assert await tasks.delete_all(alice, completed=completed) == (3 if completed else 2)
        assert storage.tasks_of(alice) == [task for task in before if task.completed is not completed]

    async def test_another_users_tasks_stay_as_they_are(
        self, tasks: TaskRepository, storage: Storage, alice: UserId, bob: UserId
    ) -> None:
        his = await add_some(tasks, bob, still_open=2, completed=2)
        for completed in (True, False):
            assert await tasks.update_all(alice, completed=completed, to=not completed) == 0
            assert await tasks.delete_all(alice, completed=completed) == 0
        assert storage.tasks_of(bob) == his

    async def test_concurrent_changes_and_toggles_lose_nothing(
        self, tasks: TaskRepository, storage: Storage, alice: UserId
    ) -> None:
        added = await add_some(tasks, alice, still_open=5, completed=0)
        changed = await asyncio.gather(
            tasks.update_all(alice, completed=False, to=True),
            *(tasks.toggle(alice, task.id) for task in added),
            return_exceptions=True,
        )
        assert not [answer for answer in changed if isinstance(answer, Exception)]
        assert len(storage.tasks_of(alice)) == 5


class TestFake(OnFake, BulkContract):
    pass


class TestPostgres(OnPostgres, BulkContract):
    pass


class TestPgBouncer(OnPgBouncer, BulkContract):
    pass


class TestDistributedKey(OnDistributedKey, BulkContract):
    pass
