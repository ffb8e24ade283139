"""The contract of changes that expect a version."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from domain.errors import TaskChanged, TaskNotFound
from domain.repository import TaskRepository
from domain.task import TaskDraft, UserId
from tests.contract.subjects import OnDistributedKey, OnFake, OnPgBouncer, OnPostgres, Storage
from tests.operations import CALLS_THAT_CHANGE_ONE, Change


@pytest.mark.parametrize("change", CALLS_THAT_CHANGE_ONE.values(), ids=CALLS_THAT_CHANGE_ONE)
class ConditionContract:
    async def test_any_expected_version_allows_the_change(
        self, tasks: TaskRepository, storage: Storage, alice: UserId, change: Change
    ) -> None:
        older, _ = await tasks.add(alice, TaskDraft("Buy milk"))
        newer = await tasks.toggle(alice, older.id)
        changed = await change(tasks, alice, older.id, frozenset({older.updated_at, newer.updated_at}))
        assert storage.tasks_of(alice) == ([changed] if changed else [])

    @pytest.mark.parametrize("expects", ["an older version", "none"])
    async def test_other_versions_raise_task_changed(
        self, tasks: TaskRepository, storage: Storage, alice: UserId, change: Change, expects: str
    ) -> None:
        older, _ = await tasks.add(alice, TaskDraft("Buy milk"))
        newer = await tasks.toggle(alice, older.id)
        with pytest.raises(TaskChanged):
            await change(tasks, alice, older.id, frozenset({older.updated_at} if expects != "none" else ()))
        assert storage.tasks_of(alice) == [newer]

    async def test_a_missing_task_is_always_not_found(
        self, tasks: TaskRepository, alice: UserId, change: Change
    ) -> None:
        gone, _ = await tasks.add(alice, TaskDraft("Buy milk"))
        await tasks.delete(alice, gone.id)
        for task_id in (gone.id, uuid4()):
            with pytest.raises(TaskNotFound):
                await change(tasks, alice, task_id, frozenset({gone.updated_at}))

    async def test_another_users_version_finds_no_task(
        self, tasks: TaskRepository, storage: Storage, alice: UserId, bob: UserId, change: Change
    ) -> None:
        his, _ = await tasks.add(bob, TaskDraft("His"))
        for expected in (frozenset({his.updated_at}), frozenset[Any]()):
            with pytest.raises(TaskNotFound):
                await change(tasks, alice, his.id, expected)
        assert storage.tasks_of(bob) == [his]

    async def test_one_of_many_concurrent_changes_succeeds(
        self, tasks: TaskRepository, alice: UserId, change: Change
    ) -> None:
        task, _ = await tasks.add(alice, TaskDraft("Buy milk"))
        expected = frozenset({task.updated_at})
        outcomes = await asyncio.gather(
            *(change(tasks, alice, task.id, expected) for _ in range(20)), return_exceptions=True
        )
        refused = [outcome for outcome in outcomes if isinstance(outcome, TaskChanged | TaskNotFound)]
        changes_nothing = change is CALLS_THAT_CHANGE_ONE["update nothing"]
        assert len(refused) == (0 if changes_nothing else 19)


class TestFake(OnFake, ConditionContract):
    pass


class TestPostgres(OnPostgres, ConditionContract):
    pass


class TestPgBouncer(OnPgBouncer, ConditionContract):
    pass


class TestDistributedKey(OnDistributedKey, ConditionContract):
    pass
