"""The same operations on small and on large tables, and pages near and far: each should cost the same."""

import http.client
import json
from contextlib import ExitStack, closing
from dataclasses import replace

import psycopg
from psycopg import sql

from tests.bench.comparison import Comparison, compare
from tests.bench.database import Tasks, postgres_on_tcp
from tests.bench.load import Sample
from tests.bench.operations import OPERATIONS, Api
from tests.bench.options import Options
from tests.bench.report import Column, Finding, measures, ratios
from tests.bench.servers import TASKWARD, Server
from tests.bench.stage import Running, stage
from tests.databases import with_parameters

EACH = 100
SIZES = {"10 thousand": 10_000, "1 million": 1_000_000, "10 million": 10_000_000}
OF_THE_FIRST = 100_000
"""Of one user in the larger tables."""
PAGE, FAR = 50, 1000


def measure(options: Options) -> Finding:
    with ExitStack() as stack:
        theatre = stack.enter_context(stage(1))
        url = stack.enter_context(postgres_on_tcp())
        servers = [
            stack.enter_context(theatre.running(replace(TASKWARD, name=name), _tables(stack, url, name, rows)))
            for name, rows in SIZES.items()
        ]
        sizes = compare(servers, tuple(OPERATIONS), rounds=options.rounds, seconds=options.seconds)
        near_and_far = _pages(servers[-1])
        pages = compare(near_and_far, ("list",), rounds=options.rounds, seconds=options.seconds)
    parts = [measures(sizes), _compared(sizes), measures(pages), _compared(pages)]
    return Finding("\n\n".join(parts))


def _tables(stack: ExitStack, url: str, name: str, rows: int) -> Tasks:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    of_the_first = OF_THE_FIRST if rows > OF_THE_FIRST else EACH
    users = 1 + (rows - of_the_first) // EACH
    return stack.enter_context(closing(Tasks(with_parameters(url, dbname=name), users, EACH, of_the_first)))


def _pages(running: Running) -> list[Running]:
    """The first and the thousandth page of the one user who has that many."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port)
    cursor, step = "", 3 * PAGE
    for _ in range((FAR - 1) * PAGE // step):
        connection.request("GET", f"/v1/tasks?limit={step}&cursor={cursor}", headers={"X-User-Id": "user-1"})
        cursor = json.load(connection.getresponse())["next_cursor"]
    return [
        replace(
            running, server=Server(f"page {number}", (), Api(f"/v1/tasks?cursor={given}", "")), keys=[("user-1", "")]
        )
        for number, given in ((1, ""), (FAR, cursor))
    ]


def _compared(comparison: Comparison) -> str:
    first, *others = comparison.servers
    columns: list[Column] = [
        (f"{other} : {first}", lambda operation, other=other: comparison.ratio(operation, other, first, Sample.p50))  # type: ignore[misc]  # a default
        for other in others
    ]
    return ratios("p50", list(comparison.samples), columns)
