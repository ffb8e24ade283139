"""What the network between service and database does to a single task's latency, by milliseconds each way."""

from contextlib import ExitStack, closing

from tests.bench.beside import EACH, USERS
from tests.bench.comparison import compare
from tests.bench.database import Tasks, postgres_on_tcp
from tests.bench.delay import delayed
from tests.bench.load import Sample
from tests.bench.options import Options
from tests.bench.report import Finding, table
from tests.bench.servers import FLOOR, TASKWARD
from tests.bench.stage import stage

DELAYS = (0, 1, 2, 5, 10)
CONNECTIONS = 8
"""Fewer than either has to the database, so that nobody waits in a queue."""


def measure(options: Options) -> Finding:
    figures: dict[str, dict[str, float]] = {TASKWARD.name: {}, FLOOR.name: {}}
    rows = []
    with ExitStack() as lasting:
        theatre = lasting.enter_context(stage(1))
        tasks = lasting.enter_context(closing(Tasks(lasting.enter_context(postgres_on_tcp()), USERS, EACH)))
        for delay in DELAYS:
            with ExitStack() as stack:
                url = stack.enter_context(delayed(tasks.url, delay))
                servers = [stack.enter_context(theatre.running(one, tasks, url=url)) for one in (TASKWARD, FLOOR)]
                comparison = compare(
                    servers,
                    ("read", "patch"),
                    rounds=options.rounds,
                    seconds=options.seconds,
                    connections=CONNECTIONS,
                )
            for server, latencies in figures.items():
                latencies[str(delay)] = comparison.latency("read", server, 50)
            p50s = [
                (
                    f"{comparison.latency(operation, TASKWARD.name, 50):.2f}",
                    f"{comparison.latency(operation, FLOOR.name, 50):.2f}",
                    f"{comparison.ratio(operation, TASKWARD.name, FLOOR.name, Sample.p50):.2f}",
                )
                for operation in comparison.samples
            ]
            rows.append((str(delay), *p50s[0], *p50s[1]))
    head = ("ms each way", "read: p50 ms", "floor", "ratio", "patch: p50 ms", "floor", "ratio")
    return Finding(table(head, rows), figures)
