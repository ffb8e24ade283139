"""Puts a mutant into a copy of the checkout and runs the tests that reach it, the quickest first."""

import compileall
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from py_compile import PycInvalidationMode

import pytest
from coverage import CoverageData

from adapters.embedded_postgres import embedded_postgres
from tests.mutants.mutant import ROOT, Mutant
from tests.mutants.plugin import name_of

SUITES = ("tests/unit", "tests/architecture", "tests/contract", "tests/http", "tests/postgres")
_NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv*", ".taskward", ".*_cache", ".hypothesis", ".env", "__pycache__", "node_modules"
)
# This test compares the list of mutants with the code, so it would notice every mutant.
_LISTS = "--ignore=tests/architecture/test_mutants.py"
_PLAIN = ("-q", "-x", "--assert=plain", "-p", "no:cacheprovider", _LISTS, "-p", "tests.mutants.plugin")


class Outcome(Enum):
    SURVIVED = "survived"
    KILLED = "killed"
    HUNG = "hung"


class Tree:
    """A copy of the checkout, with a PostgreSQL of its own."""

    def __init__(self, folder: Path, temporary: Path, server_url: str) -> None:
        self.folder = folder
        self._environment = os.environ | {
            "TMPDIR": str(temporary),  # a test that is killed leaves files there
            "PYTHONPATH": str(folder),  # found before the checkout, which is installed as editable
            "PYTHONDONTWRITEBYTECODE": "1",
            "TEST_DATABASE_URL": server_url,
        }
        self._process: subprocess.Popen[str] | None = None

    def pytest(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Run pytest. Returns the exit code and the output. Kills every process that the tests left running."""
        with subprocess.Popen(
            [sys.executable, "-m", "pytest", *_PLAIN, *arguments],
            cwd=self.folder,
            env=self._environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as self._process:
            output, _ = self._process.communicate()
            self.end()
        return self._process.returncode, output

    def end(self) -> None:
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


@contextlib.contextmanager
def own_tree() -> Iterator[Tree]:
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:  # short, for the paths of sockets
        folder = Path(name)
        folder.chmod(0o755)  # for servers that do not run as root
        shutil.copytree(ROOT, folder / "tree", ignore=_NOT_COPIED)
        # Compiled once. Python recognises a mutant by its hash; the time of its change is too coarse.
        compileall.compile_dir(folder / "tree", quiet=1, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
        (folder / "tmp").mkdir()
        with embedded_postgres(folder / "postgres") as url:
            yield Tree(folder / "tree", folder / "tmp", url)


class Knowledge:
    """Which tests reach which lines, and how long each takes."""

    def __init__(self, tree: Tree) -> None:
        """Run all tests on the unchanged tree. Raises `RuntimeError` if they fail without any mutant."""
        took = tree.folder / "took.json"
        packages = [f"--cov={package}" for package in ("domain", "adapters", "entrypoints")]
        code, output = tree.pytest(*SUITES, *packages, "--cov-context=test", "--cov-report=", MUTANTS_TOOK=str(took))
        if code:
            raise RuntimeError(f"the tests fail without any mutant:\n{output}")
        self._took: dict[str, float] = json.loads(took.read_text())
        self._data = CoverageData(str(tree.folder / ".coverage"))
        self._data.read()
        self._folder = tree.folder

    def tests_for(self, mutant: Mutant) -> Iterator[dict[str, float]]:
        """Yield the tests that reach the mutated lines.

        If those lines run at import, yield the tests that reach the file, then all others.
        """
        contexts = self._data.contexts_by_lineno(str(self._folder / mutant.file))
        through_lines = {name_of(test) for line in mutant.lines for test in contexts.get(line, [""])}
        through_file = {name_of(test) for tests in contexts.values() for test in tests} & self._took.keys()
        if "" in through_lines:
            yield self._quickest_first(through_file)
            yield self._quickest_first(self._took.keys() - through_file)
        else:
            yield self._quickest_first(through_lines & self._took.keys())

    def _quickest_first(self, names: Iterable[str]) -> dict[str, float]:
        return {name: self._took[name] for name in sorted(names, key=lambda name: (self._took[name], name))}


def try_out(mutant: Mutant, tree: Tree, groups: Iterable[dict[str, float]]) -> Outcome:
    outcomes = (_try_out(mutant, tree, tests) for tests in groups if tests)
    return next((outcome for outcome in outcomes if outcome is not Outcome.SURVIVED), Outcome.SURVIVED)


def _try_out(mutant: Mutant, tree: Tree, tests: dict[str, float]) -> Outcome:
    chosen = tree.folder / "chosen.json"
    chosen.write_text(json.dumps(tests))
    place = tree.folder / mutant.file
    place.write_text(mutant.mutated)
    try:
        files = dict.fromkeys(test.partition("::")[0] for test in tests)
        code, output = tree.pytest(*files, MUTANTS_CHOSEN=str(chosen))
    finally:
        place.write_text(mutant.original)
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise RuntimeError(output)
    if code == -signal.SIGALRM:
        return Outcome.HUNG
    return Outcome.KILLED if code else Outcome.SURVIVED
