"""Structured logging: one event a line on standard output, the libraries' own lines included."""

import contextlib
import json
import logging
import sys
from typing import Literal, TextIO, cast

import structlog
from pydantic_core import to_json
from structlog.typing import Processor


class _Forgiving:
    """Drops what cannot be written: a reader that has gone must not make a finished write look like a failure."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


def _to_json(event: object, **_: object) -> str:
    """Faster than the standard library, which alone knows what to do with lone surrogates."""
    try:
        return to_json(event, fallback=repr).decode()
    except ValueError:
        return json.dumps(event, default=repr)


def configure_logging(level: Literal["debug", "info", "warning", "error"], form: Literal["json", "console"]) -> None:
    """`json` for machines, `console` for eyes. Applies to the whole process; calling it again replaces it."""
    output = _Forgiving(sys.stdout)
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering: list[Processor] = [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=_to_json),
    ]
    if form == "console":
        # Not the default traceback: it shows local variables, and titles among them.
        rendering = [
            structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    writer = structlog.WriteLogger(cast("TextIO", output))
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_: writer,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    logging.root.handlers = [handler]
    logging.root.setLevel(threshold)
    # Alembic tells of every plugin and context it makes; what comes of a migration the command itself tells.
    logging.getLogger("alembic").setLevel(max(threshold, logging.WARNING))
