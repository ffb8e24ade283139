"""`make bench`: Taskward beside a floor and beside its peers, on this machine."""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import uvloop

from tests.bench import database
from tests.bench.check import check
from tests.bench.comparison import compare
from tests.bench.operations import OPERATIONS
from tests.bench.report import tables
from tests.bench.servers import SERVERS, available_cores, only_on, running

USERS, TASKS = 1000, 100


def main() -> None:
    options = _options()
    uvloop.install()
    cores = available_cores()
    theirs, ours = cores[: options.workers], cores[options.workers :] or cores
    with ExitStack() as stack:
        stack.enter_context(only_on(ours))
        url = stack.enter_context(database.postgres_on_tcp())
        connection = stack.enter_context(psycopg.connect(url, autocommit=True))
        database.seed(connection, USERS, TASKS)
        folder = Path(stack.enter_context(TemporaryDirectory()))
        servers = [
            stack.enter_context(running(server, url, folder, theirs, options.workers))
            for server in SERVERS
            if server.name.lower() in options.servers
        ]
        for server in servers:
            check(server)
        comparison = compare(
            servers,
            database.some_keys(connection, 10_000),
            lambda count: database.more_keys(connection, count, USERS),
            operations=options.operations,
            rounds=options.rounds,
            connections=options.connections,
            seconds=options.seconds,
            tell=tell,
        )
    tell(tables(comparison))


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.5, help="how long each slice takes")
    parser.add_argument("--operations", type=_names, default=list(OPERATIONS), help="create,read,list,patch,delete")
    parser.add_argument("--servers", type=_names, default=[server.name.lower() for server in SERVERS])
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--workers", type=int, default=1)
    return parser.parse_args()


def _names(text: str) -> list[str]:
    return text.lower().split(",")


main()
