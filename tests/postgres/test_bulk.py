"""Bulk changes: however many and slow they are, they delay no other user."""

import asyncio

import psycopg

from adapters.postgres import statements
from adapters.postgres.repository import PostgresTaskRepository
from domain.listing import TaskCounts
from domain.task import TaskChanges, TaskDraft, UserId
from tests.executors import executor, running


async def test_a_bulk_change_locks_no_other_users(
    database_url: str, out_of_band: psycopg.Connection, alice: UserId, bob: UserId
) -> None:
    async with running(executor(database_url)) as database:
        tasks = PostgresTaskRepository(database)
        hers, _ = await tasks.add(alice, TaskDraft("Hers"))
        his, _ = await tasks.add(bob, TaskDraft("His"))
        with out_of_band.transaction():
            values = {"owner": alice.value, "completed": False, "to": True}
            out_of_band.execute(statements.UPDATE_ALL.text.encode(), values)
            assert (await tasks.list(bob)).items == (his,)
            await tasks.add(bob, TaskDraft("Another"))
            await tasks.update(bob, his.id, TaskChanges(title="Changed"))
            assert await tasks.update_all(bob, completed=False, to=True) == 2
            assert await tasks.count(bob) == TaskCounts(open=0, completed=2)
            assert await tasks.delete_all(bob, completed=True) == 2
            assert await tasks.get(alice, hers.id) == hers  # alice's own reads do not wait, either


async def test_bulk_changes_leave_connections_to_others(
    database_url: str, out_of_band: psycopg.Connection, alice: UserId, bob: UserId
) -> None:
    async with running(executor(database_url, connections=2, queue=10, deadline=2)) as database:
        tasks = PostgresTaskRepository(database)
        await tasks.add(alice, TaskDraft("Hers"))
        his, _ = await tasks.add(bob, TaskDraft("His"))
        with out_of_band.transaction():
            out_of_band.execute("select from tasks where user_id = %s for update", [alice.value])
            waiting = [asyncio.ensure_future(tasks.update_all(alice, completed=False, to=True)) for _ in range(3)]
            waiting.append(asyncio.ensure_future(tasks.delete_all(alice, completed=False)))
            while not database.usage()[0]:  # noqa: ASYNC110 - the executor announces nothing
                await asyncio.sleep(0)  # until alice's run, or bob would come first
            assert await tasks.get(bob, his.id) == his
        assert sum(await asyncio.gather(*waiting)) == 1
