"""What was measured, as tables in Markdown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import geometric_mean

from tests.bench.comparison import Comparison
from tests.bench.load import Sample


@dataclass(frozen=True)
class Finding:
    text: str
    figures: dict[str, dict[str, float]] = field(default_factory=dict)
    """For the picture."""


Column = tuple[str, Callable[[str], float]]
"""Its title, and what to say of an operation."""


def measures(comparison: Comparison) -> str:
    head = ("operation", "server", "operations/s", "p50 ms", "p99 ms", "CPU µs", "CPU busy", "PostgreSQL µs", "load µs")
    rows = [
        (
            operation,
            server,
            f"{comparison.middle(operation, server, Sample.rate):,.0f}",
            f"{comparison.latency(operation, server, 50):.2f}",
            f"{comparison.latency(operation, server, 99):.2f}",
            f"{comparison.cost(operation, server).server * 1e6:.0f}",
            f"{comparison.busy(operation, server):.0%}",
            f"{comparison.cost(operation, server).database * 1e6:.0f}",
            f"{comparison.cost(operation, server).load * 1e6:.0f}",
        )
        for operation in comparison.samples
        for server in comparison.servers
    ]
    return table(head, rows)


def ratios(title: str, operations: Sequence[str], columns: Sequence[Column]) -> str:
    """By operation, and their geometric mean."""
    found = {operation: [ratio(operation) for _, ratio in columns] for operation in operations}
    if len(found) > 1:
        found["geometric mean"] = [geometric_mean(column) for column in zip(*found.values(), strict=True)]
    rows = [(operation, *(f"{value:.2f}" for value in values)) for operation, values in found.items()]
    return table((title, *(title for title, _ in columns)), rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---:" if all(cell[:1].isdigit() for cell in cells) else "---" for cells in zip(*rows, strict=True)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))
