"""What one worker needs: how long until it is ready, what it does when nothing is asked of it, and its memory."""

from contextlib import ExitStack, closing
from statistics import linear_regression, median
from time import perf_counter, sleep

import psutil

from tests.bench.beside import EACH, USERS
from tests.bench.comparison import compare
from tests.bench.database import Tasks, postgres_on_tcp
from tests.bench.meter import spent
from tests.bench.operations import OPERATIONS
from tests.bench.options import Options
from tests.bench.report import Finding, table
from tests.bench.servers import TASKWARD
from tests.bench.stage import stage

STARTS = 5
IDLE_SECONDS = 20
STAGES = 8
"""Of growing memory; the first half warms caches up and is not counted."""
MIB = 1024 * 1024


def measure(options: Options) -> Finding:
    with ExitStack() as stack:
        theatre = stack.enter_context(stage(1))
        tasks = stack.enter_context(closing(Tasks(stack.enter_context(postgres_on_tcp()), USERS, EACH)))
        tasks.keys  # noqa: B018 - looked up before the clock runs
        starts, cpu = [], []
        for _ in range(STARTS):
            began = perf_counter()
            with theatre.running(TASKWARD, tasks) as started:
                starts.append(perf_counter() - began)
                cpu.append(spent(started.root))
        running = stack.enter_context(theatre.running(TASKWARD, tasks))
        fresh = running.root.memory_full_info()
        before = spent(running.root)
        sleep(IDLE_SECONDS)
        idle = (spent(running.root) - before) / IDLE_SECONDS
        requests, memory, seconds = [0.0], [], 0.0
        for _ in range(STAGES):
            comparison = compare([running], tuple(OPERATIONS), rounds=options.rounds, seconds=options.seconds)
            samples = [sample for by_server in comparison.samples.values() for sample in by_server[TASKWARD.name]]
            requests.append(requests[-1] + sum(sample.operations for sample in samples))
            seconds += sum(sample.seconds for sample in samples)
            memory.append(_used(running.root))
    half = STAGES // 2
    slope, _ = linear_regression(requests[1 + half :], memory[half:])
    an_hour = slope * requests[-1] / seconds * 3600
    rows = [
        ("ready after", f"{median(starts):.2f} s, of which {median(cpu):.2f} s on a core"),
        ("CPU when idle", f"{idle:.2%} of a core"),
        ("memory, fresh", f"{fresh.uss / MIB:.1f} MiB ({fresh.rss / MIB:.1f} MiB with what is shared)"),
        (f"memory after {requests[1 + half] / 1000:,.0f} thousand requests", f"{memory[half] / MIB:.1f} MiB"),
        (f"memory after {requests[-1] / 1000:,.0f} thousand requests", f"{memory[-1] / MIB:.1f} MiB"),
        ("what that comes to in an hour at this rate", f"{an_hour / MIB:+.1f} MiB"),
    ]
    return Finding(table(("one worker", ""), rows))


def _used(process: psutil.Process) -> float:
    """What would be free if it ended, in bytes."""
    return float(process.memory_full_info().uss)
