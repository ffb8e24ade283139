"""Two workers beside one.

On a machine of two cores the load and PostgreSQL need their share of the same two, so the requests that come through
say little. What says it is how much of a core a request costs the service, and how evenly the workers share the work:
with cores of their own they do as much as the busiest of them has time for.
"""

from contextlib import ExitStack, closing
from dataclasses import replace

from tests.bench.beside import EACH, USERS
from tests.bench.comparison import compare
from tests.bench.database import Tasks, postgres_on_tcp
from tests.bench.load import Sample
from tests.bench.meter import spent
from tests.bench.operations import OPERATIONS
from tests.bench.options import Options
from tests.bench.report import Finding, table
from tests.bench.servers import TASKWARD
from tests.bench.stage import Running, stage

COUNTS = (1, 2)


def measure(options: Options) -> Finding:
    with ExitStack() as stack:
        theatre = stack.enter_context(stage(max(COUNTS)))
        tasks = stack.enter_context(closing(Tasks(stack.enter_context(postgres_on_tcp()), USERS, EACH)))
        servers = [
            stack.enter_context(theatre.running(replace(TASKWARD, name=f"{count} workers"), tasks, workers=count))
            for count in COUNTS
        ]
        before = [_shares(server) for server in servers]
        comparison = compare(servers, tuple(OPERATIONS), rounds=options.rounds, seconds=options.seconds)
        busiest = [
            max(now - then for now, then in zip(_shares(server), shares, strict=True))
            / (sum(_shares(server)) - sum(shares))
            for server, shares in zip(servers, before, strict=True)
        ]
    rows = []
    for operation in comparison.samples:
        one, two = [
            1 / (comparison.cost(operation, server.server.name).server * share)
            for server, share in zip(servers, busiest, strict=True)
        ]
        through = comparison.ratio(operation, servers[1].server.name, servers[0].server.name, Sample.rate)
        rows.append((operation, f"{one:,.0f}", f"{two:,.0f}", f"{two / one:.2f}", f"{through:.2f}"))
    head = ("operation", "one worker/s", "two, a core each/s", "ratio", "came through here")
    return Finding(f"{table(head, rows)}\n\nThe busier of the two did {busiest[1]:.0%} of the work.")


def _shares(server: Running) -> list[float]:
    """What each worker has spent on the processor."""
    return [spent(worker) for worker in server.workers()]
