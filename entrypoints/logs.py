"""Structured logging: one event a line on standard output, the libraries' own lines included."""

import asyncio
import atexit
import contextlib
import json
import logging
import os
import select
import stat
import threading
from typing import Final, Literal

import structlog
from pydantic_core import to_json
from structlog.typing import EventDict, Processor

PENDING_BYTES_MAX: Final = 1024 * 1024
"""What a slow reader has not taken yet. Further lines are dropped."""
RETRY_SECONDS: Final = 0.05
LAST_SECONDS: Final = 0.5
"""How long the end of the process waits for a reader that has fallen behind."""


class Output:
    """Writes lines once for each turn of the event loop, or at once where no loop runs. Never blocks, never raises."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = _own(descriptor)
        self._blocks = os.get_blocking(self._descriptor)
        self._room = select.poll()
        self._room.register(self._descriptor, select.POLLOUT)
        self._lock = threading.RLock()
        self._pending = bytearray()
        self._dropped = 0
        self._flushing: asyncio.AbstractEventLoop | None = None

    def msg(self, line: str | bytes) -> None:
        """Writes the line, now or soon. Drops and counts it if the reader is too far behind."""
        with self._lock:
            if len(self._pending) > PENDING_BYTES_MAX:
                self._dropped += 1
                return
            self._pending += line if isinstance(line, bytes) else line.encode(errors="backslashreplace")
            self._pending += b"\n"
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
        else:
            if self._flushing is not loop:
                self._flushing = loop
                loop.call_soon(self.flush)

    debug = info = warning = error = critical = msg  # by these names structlog calls it

    def flush(self) -> None:
        """Writes what there is room for. The event loop tries again for the rest."""
        self._flushing = None
        with self._lock, contextlib.suppress(OSError):  # no room, no reader, no disk space
            while self._pending and (not self._blocks or self._room.poll(0)):
                # Several workers may share the pipe, and only this much reaches it in one piece.
                end = self._pending.rfind(b"\n", 0, select.PIPE_BUF) + 1 or select.PIPE_BUF
                written = os.write(self._descriptor, self._pending[:end])
                del self._pending[:written]
        if self._pending:
            with contextlib.suppress(RuntimeError):
                self._flushing = asyncio.get_running_loop()
                self._flushing.call_later(RETRY_SECONDS, self.flush)
        elif self._dropped:
            dropped, self._dropped = self._dropped, 0
            structlog.get_logger().warning("log lines dropped", lines=dropped)

    def close(self) -> None:
        if self._pending:
            self._room.poll(LAST_SECONDS * 1000)
        self.flush()


def _own(descriptor: int) -> int:
    """A descriptor that does not block, opened anew: the flag on the given one would be its other holders', too."""
    with contextlib.suppress(OSError):
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode) or os.isatty(descriptor):
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    return descriptor


class _FromLibraries(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - a library's slip is no fault of who has called it
            message = str(record.msg)
        write = getattr(log, record.levelname.lower(), log.info)
        write(message, logger=record.name, exc_info=record.exc_info)


def _to_json(event: object, **_: object) -> bytes:
    """Faster than the standard library, but only that knows what to do with lone surrogates."""
    try:
        return to_json(event, fallback=repr)
    except ValueError:
        return json.dumps(event, default=repr).encode()


def _shorten(_logger: object, _method: str, event: EventDict) -> EventDict:
    return {name: value for name, value in event.items() if value is not None and name != "logger"}


def configure_logging(
    level: Literal["debug", "info", "warning", "error"], form: Literal["json", "console"], *, descriptor: int = 1
) -> Output:
    """`json` for machines, `console` for eyes. Applies to the whole process; calling it again replaces it."""
    output = Output(descriptor)
    atexit.register(output.close)
    threshold = logging.getLevelNamesMapping()[level.upper()]
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if form == "json":
        processors += [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_to_json),
        ]
    else:
        # Not the default traceback: it shows local variables, and titles among them.
        plain = structlog.dev.plain_traceback
        processors += [_shorten, structlog.dev.ConsoleRenderer(colors=os.isatty(descriptor), exception_formatter=plain)]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_: output,
    )
    logging.root.handlers = [_FromLibraries()]
    logging.root.setLevel(threshold)
    # Alembic logs every plugin and context that it makes; the command itself says what comes of a migration.
    logging.getLogger("alembic").setLevel(max(threshold, logging.WARNING))
    return output
