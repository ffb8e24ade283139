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
    text += f"\n\nOther programs took {max(0, comparison.disturbance()):.0%} of the machine meanwhile."
    figures = {
        operation: {server: 1 / comparison.cost(operation, server).server for server in comparison.servers}
        for operation in comparison.samples
    }
    return Finding(text, figures)


def _columns(comparison: Comparison) -> list[Column]:
    """What there is to say of Taskward and each of the others."""

    def ratio(other: str, what: Callable[[Sample], float]) -> Callable[[str], float]:
        return lambda operation: comparison.ratio(operation, TASKWARD.name, other, what)

    def per_cpu(other: str) -> Callable[[str], float]:
        return lambda operation: (
            comparison.cost(operation, other).server / comparison.cost(operation, TASKWARD.name).server
        )

    if TASKWARD.name not in comparison.servers:
        return []
    others = [server for server in comparison.servers if server != TASKWARD.name]
    columns = [(f"operations/s ÷ {other}", ratio(other, Sample.rate)) for other in others]
    columns += [(f"operations per CPU ÷ {other}", per_cpu(other)) for other in others]
    return columns + [(f"p50 ÷ {other}", ratio(other, Sample.p50)) for other in others if other == FLOOR.name]
