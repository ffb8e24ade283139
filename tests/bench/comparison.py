"""Loads the servers in turn, slice by slice, so that a machine that slows down slows all of them down."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

from tests.bench.database import Key
from tests.bench.load import Sample, load
from tests.bench.operations import OPERATIONS
from tests.bench.servers import Running

Supply = Callable[[int], list[Key]]
"""Makes so many tasks that can be deleted."""


@dataclass
class Comparison:
    """All samples, by operation and server; those of one round stand at one index."""

    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))

    def ratio(self, operation: str, server: str, other: str) -> float:
        """How many times as many operations per second as the other: the median of the rounds."""
        pairs = zip(self.samples[operation][server], self.samples[operation][other], strict=True)
        return median(ours.rate / theirs.rate for ours, theirs in pairs)

    def servers(self) -> list[str]:
        return list(next(iter(self.samples.values())))

    def cpu_ratio(self, operation: str, server: str, other: str) -> float:
        """How many times as many operations per second of its own processor: whatever else there is to wait for."""
        pairs = zip(self.samples[operation][server], self.samples[operation][other], strict=True)
        return median(theirs.cpu / ours.cpu for ours, theirs in pairs)

    def rate(self, operation: str, server: str) -> float:
        return median(sample.rate for sample in self.samples[operation][server])

    def latency(self, operation: str, server: str, percentile: int) -> float:
        """In milliseconds, over all rounds."""
        latencies = [latency for sample in self.samples[operation][server] for latency in sample.latencies]
        return quantiles(latencies, n=100)[percentile - 1] * 1000

    def cpu(self, operation: str, server: str) -> float:
        """Of the server, in microseconds per operation."""
        samples = self.samples[operation][server]
        return sum(sample.server_cpu for sample in samples) / sum(sample.operations for sample in samples) * 1e6

    def load_cpu(self) -> float:
        """Of the load itself, in microseconds per operation."""
        samples = [sample for by_server in self.samples.values() for of in by_server.values() for sample in of]
        return sum(sample.load_cpu for sample in samples) / sum(sample.operations for sample in samples) * 1e6


def compare(
    servers: Sequence[Running],
    keys: list[Key],
    supply: Supply,
    *,
    operations: Sequence[str],
    rounds: int,
    connections: int,
    seconds: float,
    tell: Callable[[str], None],
) -> Comparison:
    comparison = Comparison()
    enough = 10_000
    for number in range(rounds):
        for name in operations:
            operation = OPERATIONS[name]
            # Each comes first in turn, so that none always follows the same other.
            for server in [*servers[number % len(servers) :], *servers[: number % len(servers)]]:
                chosen = supply(int(enough * (seconds + 1))) if name == "delete" else keys
                requests = operation.requests(server.server.api, chosen)
                sample = asyncio.run(load(server.port, requests, operation.status, server.cpu, connections, seconds))
                comparison.samples[name][server.server.name].append(sample)
        tell(f"round {number + 1} of {rounds}")
    return comparison
