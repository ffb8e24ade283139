"""What was measured, as tables in Markdown."""

from collections.abc import Callable, Sequence
from statistics import geometric_mean

from tests.bench.comparison import Comparison
from tests.bench.servers import FLOOR, TASKWARD

Ratio = Callable[[str, str, str], float]


def tables(comparison: Comparison) -> str:
    return "\n\n".join(part for part in (_measures(comparison), _ratios(comparison), _rest(comparison)) if part)


def _measures(comparison: Comparison) -> str:
    rows = [
        (
            operation,
            server,
            f"{comparison.rate(operation, server):,.0f}",
            f"{comparison.latency(operation, server, 50):.2f}",
            f"{comparison.latency(operation, server, 99):.2f}",
            f"{comparison.cpu(operation, server):.0f}",
        )
        for operation in comparison.samples
        for server in comparison.servers()
    ]
    return _table(("operation", "server", "operations/s", "p50 ms", "p99 ms", "CPU µs/operation"), rows)


def _ratios(comparison: Comparison) -> str:
    """Taskward in proportion to each of the others."""
    others = [server for server in comparison.servers() if server != TASKWARD.name]
    if len(others) == len(comparison.servers()):
        return ""
    columns: list[tuple[str, Ratio, str]] = [(other, comparison.ratio, f"of {other}") for other in others]
    if FLOOR.name in others:
        columns.append((FLOOR.name, comparison.cpu_ratio, f"of {FLOOR.name}, by CPU"))
    ratios = {
        operation: [ratio(operation, TASKWARD.name, other) for other, ratio, _ in columns]
        for operation in comparison.samples
    }
    ratios["geometric mean"] = [geometric_mean(column) for column in zip(*ratios.values(), strict=True)]
    rows = [(operation, *(f"{value:.2f}" for value in values)) for operation, values in ratios.items()]
    return _table(("Taskward", *(title for *_, title in columns)), rows)


def _rest(comparison: Comparison) -> str:
    return f"The load itself took {comparison.load_cpu():.0f} µs of CPU per operation."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---" if not any(cell[:1].isdigit() for cell in column) else "---:" for column in zip(*rows, strict=True)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))
