"""`make mutants`: breaks the code on purpose, in every way that it knows, and reports what no test notices."""

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from queue import SimpleQueue

from tests.mutants import mutations, ownership
from tests.mutants.explained import EXPLAINED
from tests.mutants.mutant import Mutant
from tests.mutants.trials import Knowledge, Outcome, Tree, own_tree, try_out
from tests.pgbouncer import pgbouncer

KILLED_AT_LEAST = 0.95
TREES = (os.cpu_count() or 1) + 1
"""One more than there are cores, since tests often wait."""

Tried = Sequence[tuple[Mutant, Outcome]]


def echo(text: str, *, end: str = "\n") -> None:
    sys.stdout.write(text + end)
    sys.stdout.flush()


def main(part: str = "") -> int:
    started = time.monotonic()
    if pgbouncer() is None:
        echo("There is no PgBouncer here; mutants that only its tests notice will survive.")
    every = [*ownership.mutants(), *mutations.mutants()]
    tried = list(try_all([mutant for mutant in every if part in mutant.kind or part in mutant.file]))
    faults = list(faults_of(tried))
    echo("\n".join(["", *table(tried), "", *faults, f"{time.monotonic() - started:.0f} seconds"]))
    return bool(faults)


def try_all(mutants: Sequence[Mutant]) -> Iterator[tuple[Mutant, Outcome]]:
    with ExitStack() as stack:
        trees = [stack.enter_context(own_tree()) for _ in range(TREES)]
        free: SimpleQueue[Tree] = SimpleQueue()
        for tree in trees:
            free.put(tree)
        echo(f"{len(mutants)} mutants. First the tests run without any, to learn which of them reach which lines.")
        knowledge = Knowledge(trees[0])

        def try_next(mutant: Mutant) -> Outcome:
            tree = free.get()
            try:
                return try_out(mutant, tree, knowledge.tests_for(mutant))
            finally:
                free.put(tree)

        with ThreadPoolExecutor(TREES) as threads:
            try:
                for number, (mutant, outcome) in enumerate(
                    zip(mutants, threads.map(try_next, mutants), strict=True), 1
                ):
                    echo(f"\r{number} of {len(mutants)} ", end="")
                    if outcome is Outcome.SURVIVED:
                        echo("survived: " + described(mutant))
                    yield mutant, outcome
            except BaseException:
                for tree in trees:
                    tree.end()
                raise


def described(mutant: Mutant) -> str:
    old, new = mutant.change
    return f"{mutant.file}:{mutant.lines.start} {mutant.why}\n    {old}\n    {new}"


def table(tried: Tried) -> Iterator[str]:
    counted: dict[tuple[str, str], Counter[str]] = {}
    for mutant, outcome in tried:
        facts = ["mutants", outcome.value]
        facts += ["killed"] if outcome is Outcome.HUNG else []
        facts += ["explained"] if is_explained(mutant, outcome) else []
        for file in (mutant.file, "all"):
            counted.setdefault((mutant.kind, file), Counter()).update(facts)
    columns = ("mutants", "killed", "hung", "survived", "explained")
    yield f"{'kind':<10}{'file':<36}" + "".join(f"{column:>11}" for column in columns)
    for (kind, file), number in sorted(counted.items(), key=lambda row: (row[0][0], row[0][1] == "all", row[0][1])):
        yield f"{kind:<10}{file:<36}" + "".join(f"{number[column]:>11}" for column in columns)


def faults_of(tried: Tried) -> Iterator[str]:
    """Yield the reasons why the run fails, one a line."""
    survived = [mutant for mutant, outcome in tried if outcome is Outcome.SURVIVED]
    unexplained = [mutant for mutant in survived if not is_explained(mutant, Outcome.SURVIVED)]
    yield from (f"survived, and must not: {described(mutant)}" for mutant in unexplained)
    general = [outcome for mutant, outcome in tried if mutant.kind == mutations.KIND]
    if general.count(Outcome.SURVIVED) > (1 - KILLED_AT_LEAST) * len(general):
        yield f"{general.count(Outcome.SURVIVED)} of {len(general)} survived: more than {1 - KILLED_AT_LEAST:.0%}"


def is_explained(mutant: Mutant, outcome: Outcome) -> bool:
    return outcome is Outcome.SURVIVED and mutant.kind == mutations.KIND and (mutant.file, *mutant.change) in EXPLAINED


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # either way it stops its servers and removes its copies
    sys.exit(main(*sys.argv[1:]))
