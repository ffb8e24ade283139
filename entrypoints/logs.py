"""Structured logging: one event per line on standard output, those of libraries included."""

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
"""The most bytes that wait for a slow reader. Further lines are dropped."""
RETRY_SECONDS: Final = 0.05
CLOSE_SECONDS: Final = 0.5
"""How long the process waits for a slow reader before it ends."""


class Output:
    """Writes lines once for each turn of the event loop, or at once if no loop runs. Never blocks, never raises."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = _non_blocking(descriptor)
        self._blocks = os.get_blocking(self._descriptor)
        self._writable = select.poll()
        self._writable.register(self._descriptor, select.POLLOUT)
        self._lock = threading.RLock()
        self._pending = bytearray()
        self._dropped = 0
        self._flushing: asyncio.AbstractEventLoop | None = None

    def msg(self, line: str | bytes) -> None:
        """Write the line, now or at the end of this turn. Drop and count it if the reader is too slow."""
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

    debug = info = warning = error = critical = msg  # structlog calls it by these names

    def flush(self) -> None:
        """Write as much as fits. The event loop tries again with the rest."""
        self._flushing = None
        with self._lock, contextlib.suppress(OSError):  # no room, no reader, no disk space
            while self._pending and (not self._blocks or self._writable.poll(0)):
                # Several workers may share the pipe, and only this much is written in one piece.
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
            self._writable.poll(CLOSE_SECONDS * 1000)
        self.flush()


def _non_blocking(descriptor: int) -> int:
    """Return a pipe or terminal reopened as non-blocking: a flag on the given one would affect its other holders."""
    with contextlib.suppress(OSError):
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode) or os.isatty(descriptor):
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    return descriptor


class _LibraryHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - a library's bad log call must not fail its caller
            message = str(record.msg)
        write = getattr(log, record.levelname.lower(), log.info)
        write(message, logger=record.name, exc_info=record.exc_info)


def _to_json(event: object, **_: object) -> bytes:
    """Return JSON. pydantic is faster, but only the standard library can write lone surrogates."""
    try:
        return to_json(event, fallback=repr)
    except ValueError:
        return json.dumps(event, default=repr).encode()


def _shorten(_logger: object, _method: str, event: EventDict) -> EventDict:
    return {name: value for name, value in event.items() if value is not None and name != "logger"}


def configure_logging(
    level: Literal["debug", "info", "warning", "error"], form: Literal["json", "console"], *, descriptor: int = 1
) -> Output:
    """Configure the process, and return its output. `json` is for machines, `console` for people. A later call wins."""
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
        # The default traceback shows local variables, and titles among them.
        plain = structlog.dev.plain_traceback
        processors += [_shorten, structlog.dev.ConsoleRenderer(colors=os.isatty(descriptor), exception_formatter=plain)]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_: output,
    )
    logging.root.handlers = [_LibraryHandler()]
    logging.root.setLevel(threshold)
    # Alembic logs every plugin and context that it makes; the command itself reports the result.
    logging.getLogger("alembic").setLevel(max(threshold, logging.WARNING))
    return output
