"""Taskward beside the floor and its peers: the five operations."""

from collections.abc import Callable
from contextlib import ExitStack, closing

from tests.bench.check import check
from tests.bench.comparison import Comparison, compare
from tests.bench.database import Tasks, postgres_on_tcp
from tests.bench.delay import delayed
from tests.bench.load import Sample
from tests.bench.options import Options
from tests.bench.report import Column, Finding, measures, ratios
from tests.bench.servers import FLOOR, SERVERS, TASKWARD
from tests.bench.stage import stage

USERS, EACH = 1000, 100


def measure(options: Options) -> Finding:
    with ExitStack() as stack:
        theatre = stack.enter_context(stage(options.workers))
        tasks = stack.enter_context(closing(Tasks(stack.enter_context(postgres_on_tcp()), USERS, EACH)))
        url = stack.enter_context(delayed(tasks.url, options.delay_ms))
        servers = [
            stack.enter_context(theatre.running(server, tasks, url=url, workers=options.workers))
            for server in SERVERS
            if server.name in options.servers
        ]
        for server in servers:
            check(server)
        comparison = compare(
            servers,
            options.operations,
            rounds=options.rounds,
            seconds=options.seconds,
            connections=options.connections,
        )
    text = measures(comparison)
    if columns := _columns(comparison):
        text += f"\n\n{ratios(TASKWARD.name, list(comparison.samples), columns)}"
    figures = {
        operation: {server: comparison.middle(operation, server, Sample.rate) for server in comparison.servers}
        for operation in comparison.samples
    }
    return Finding(text, figures)


def _columns(comparison: Comparison) -> list[Column]:
    """What there is to say of Taskward and each of the others."""

    def ratio(other: str, what: Callable[[Sample], float]) -> Callable[[str], float]:
        return lambda operation: comparison.ratio(operation, TASKWARD.name, other, what)

    def frugality(operation: str) -> float:
        return comparison.cost(operation, FLOOR.name).server / comparison.cost(operation, TASKWARD.name).server

    if TASKWARD.name not in comparison.servers:
        return []
    others = [server for server in comparison.servers if server != TASKWARD.name]
    columns: list[Column] = [(f"operations/s of {other}", ratio(other, Sample.rate)) for other in others]
    if FLOOR.name in others:
        columns += [("p50 of floor", ratio(FLOOR.name, Sample.p50)), ("floor's CPU of ours", frugality)]
    return columns
