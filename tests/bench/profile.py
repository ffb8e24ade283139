"""Where the time goes: py-spy looks at a loaded worker, and each sample counts for the innermost part that it is in."""

import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.bench.beside import EACH, USERS
from tests.bench.comparison import Comparison, compare
from tests.bench.database import Tasks, postgres_on_tcp
from tests.bench.options import Options
from tests.bench.report import Finding, table
from tests.bench.servers import TASKWARD, program
from tests.bench.stage import Running, stage

OPERATIONS = ("read", "list", "create")
SECONDS = 8
PARTS: Final = {
    "HTTP server": ("uvicorn/", "h11/", "httptools/"),
    "framework": ("fastapi/", "starlette/", "pydantic/", "anyio/"),
    "routes": ("entrypoints/http/",),
    "logs": ("structlog/", "entrypoints/logs", "json/"),
    "adapter and core": ("adapters/", "domain/"),
    "SQLAlchemy": ("sqlalchemy/",),
    "driver": ("psycopg/",),
}
KERNEL: Final = "system calls"
REST: Final = "the rest of Python"


def measure(options: Options) -> Finding:
    found: dict[str, dict[str, float]] = {}
    with ExitStack() as stack:
        theatre = stack.enter_context(stage(1))
        folder = Path(stack.enter_context(TemporaryDirectory()))
        tasks = stack.enter_context(closing(Tasks(stack.enter_context(postgres_on_tcp()), USERS, EACH)))
        running = stack.enter_context(theatre.running(TASKWARD, tasks))
        for operation in OPERATIONS:
            found[operation] = _profile(running, operation, folder, options)
    rows = [(part, *(f"{found[operation][part]:.0f}" for operation in OPERATIONS)) for part in (*PARTS, REST, KERNEL)]
    rows.append(("all", *(f"{sum(found[operation].values()):.0f}" for operation in OPERATIONS)))
    return Finding(table(("CPU µs per operation", *OPERATIONS), rows))


def _profile(running: Running, operation: str, folder: Path, options: Options) -> dict[str, float]:
    """Microseconds per operation, by part."""
    work = partial(compare, [running], (operation,), rounds=1, connections=options.connections)
    work(seconds=1)  # all connections are made by then, all statements prepared
    before = _user_and_system(running)
    comparison = work(seconds=SECONDS)
    loop, workers, system = (now - then for now, then in zip(_user_and_system(running), before, strict=True))
    cost = comparison.cost(operation, TASKWARD.name).server * 1e6 / (loop + workers + system)
    found: dict[str, float] = defaultdict(float, {KERNEL: cost * system})
    # The threads' own clocks say how much each of them did, because the samples meet the workers too rarely.
    for seconds, counted in zip((loop, workers), _samples(running, folder / operation, work), strict=True):
        for part, samples in counted.items():
            found[part] += cost * seconds * samples / counted.total()
    return found


def _samples(running: Running, output: Path, work: Callable[..., Comparison]) -> tuple[Counter[str], Counter[str]]:
    """By part, of the event loop's thread and of the workers, under load."""
    command = [program("py-spy"), "record", "--pid", str(running.root.pid), "--duration", str(SECONDS)]
    command += ["--rate", "250", "--gil", "--threads", "--format", "raw", "--output", str(output)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as spy:
        work(seconds=SECONDS)
    if spy.returncode:
        raise PermissionError("py-spy was not allowed to look into the server: run it as root")
    return _counted(output.read_text())


def _user_and_system(running: Running) -> tuple[float, float, float]:
    """Seconds: of the event loop's thread, of all others, and of the kernel for either."""
    threads = running.root.threads()
    loop = sum(thread.user_time for thread in threads if thread.id == running.root.pid)
    return loop, sum(thread.user_time for thread in threads) - loop, sum(thread.system_time for thread in threads)


def _counted(stacks: str) -> tuple[Counter[str], Counter[str]]:
    loop, workers = Counter[str](), Counter[str]()
    for line in stacks.splitlines():
        stack, _, samples = line.rpartition(" ")
        thread, *frames = stack.split(";")
        (loop if "MainThread" in thread else workers)[_part(frames)] += int(samples)
    return loop, workers


def _part(frames: list[str]) -> str:
    for frame in reversed(frames):
        file = frame.partition("(")[2]
        for part, beginnings in PARTS.items():
            if file.startswith(beginnings):
                return part
    return REST
