"""Loads the servers in turn, slice by slice, so that a machine that slows down slows all of them down."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import median, quantiles

import psutil
import uvloop

from tests.bench.load import WARM_UP_SECONDS, Sample, load
from tests.bench.meter import Cost, Meter
from tests.bench.operations import OPERATIONS
from tests.bench.stage import Running

DELETABLE_PER_SECOND = 10_000
"""More than any server deletes."""


class Comparison:
    """All samples, by operation and server; those of one round stand at one index."""

    def __init__(self) -> None:
        self.samples: dict[str, dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))

    @property
    def servers(self) -> list[str]:
        return list(next(iter(self.samples.values())))

    def ratio(self, operation: str, server: str, other: str, what: Callable[[Sample], float]) -> float:
        """How many times as much of it as the other: the median of the rounds."""
        pairs = zip(self.samples[operation][server], self.samples[operation][other], strict=True)
        return median(what(ours) / what(theirs) for ours, theirs in pairs)

    def middle(self, operation: str, server: str, what: Callable[[Sample], float]) -> float:
        return median(map(what, self.samples[operation][server]))

    def latency(self, operation: str, server: str, percentile: int) -> float:
        """In milliseconds, over all rounds."""
        latencies = [latency for sample in self.samples[operation][server] for latency in sample.latencies]
        return quantiles(latencies, n=100)[percentile - 1] * 1000

    def cost(self, operation: str, server: str) -> Cost:
        """Per operation, over all rounds."""
        samples = self.samples[operation][server]
        operations = sum(sample.operations for sample in samples)
        return Cost(*(sum(spent) / operations for spent in zip(*(sample.cost for sample in samples), strict=True)))

    def busy(self, operation: str, server: str) -> float:
        """How much of the time the server was on a processor."""
        samples = self.samples[operation][server]
        return sum(sample.cost.server for sample in samples) / sum(sample.seconds for sample in samples)

    def disturbance(self) -> float:
        """How much of the machine other programs took meanwhile."""
        samples = [sample for by_server in self.samples.values() for of in by_server.values() for sample in of]
        others = sum(2 * sample.cost.machine - sum(sample.cost) for sample in samples)
        return float(others / (psutil.cpu_count() * sum(sample.seconds for sample in samples)))


def compare(
    servers: Sequence[Running],
    operations: Sequence[str],
    *,
    rounds: int,
    seconds: float,
    connections: int = 32,
) -> Comparison:
    comparison = Comparison()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for number in range(rounds):
            # Each comes first in turn, so that none always follows the same other.
            first = number % len(servers)
            for name in operations:
                for server in [*servers[first:], *servers[:first]]:
                    work = _work(server, name, connections, seconds)
                    comparison.samples[name][server.server.name].append(runner.run(work))
    return comparison


async def _work(server: Running, name: str, connections: int, seconds: float) -> Sample:
    operation, tasks = OPERATIONS[name], server.tasks
    keys = (
        tasks.to_delete(int(DELETABLE_PER_SECOND * (seconds + WARM_UP_SECONDS))) if operation.is_final else server.keys
    )
    requests = operation.requests(server.server.api, keys)
    return await load(server.port, requests, operation.status, Meter(server), connections, seconds)
