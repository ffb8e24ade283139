"""What is logged: an event a line, everybody's in one form, and nothing that was not meant to be told."""

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
import structlog

from entrypoints.logs import configure_logging
from tests.conftest import LoggedLines

Level = Literal["debug", "info", "warning", "error"]
Form = Literal["json", "console"]
LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")

pytestmark = pytest.mark.usefixtures("logged")  # which puts the logging back as it was

each_form = pytest.mark.parametrize("form", ["json", "console"])
each_logger = pytest.mark.parametrize(
    "log", [structlog.get_logger(), logging.getLogger("library")], ids=["own", "library"]
)


def _fail() -> None:
    title = "plan" + "ted"
    raise ZeroDivisionError(len(title))


@each_logger
def test_an_event_is_a_json_object_on_one_line(logged: LoggedLines, log: Any) -> None:
    hard = 'a\nb\r\u2028\x00"\\é\ud800'
    log.warning(hard)
    log.error("second")
    first, second = logged()
    assert (first["event"], first["level"]) == (hard, "warning")
    assert (second["event"], second["level"]) == ("second", "error")


@each_logger
def test_the_time_is_iso_8601_in_utc(logged: LoggedLines, log: Any) -> None:
    log.info("now")
    (line,) = logged()
    assert line["timestamp"].endswith("Z")
    assert abs(datetime.fromisoformat(line["timestamp"]) - datetime.now(UTC)) < timedelta(minutes=1)


def test_an_event_carries_its_fields(logged: LoggedLines) -> None:
    structlog.get_logger().info("database", rows=1, task_id=None, duration_ms=0.5)
    (line,) = logged()
    del line["timestamp"]
    assert line == {"event": "database", "level": "info", "rows": 1, "task_id": None, "duration_ms": 0.5}


def test_a_librarys_line_differs_by_the_loggers_name_alone(logged: LoggedLines) -> None:
    structlog.get_logger().warning("2 of 3")
    logging.getLogger("library.part").warning("%d of %d", 2, 3)
    own, theirs = logged()
    assert theirs == own | {"logger": "library.part", "timestamp": theirs["timestamp"]}


@each_logger
def test_a_line_carries_what_is_bound_to_the_request(logged: LoggedLines, log: Any) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        log.info("within")
    log.info("after")
    within, after = logged()
    assert within["request_id"] == "r-1"
    assert "request_id" not in after


@each_logger
def test_an_exception_is_told_in_its_line(logged: LoggedLines, log: Any) -> None:
    try:
        _fail()
    except ZeroDivisionError:
        log.exception("failed")
    (line,) = logged()
    assert (line["event"], line["level"]) == ("failed", "error")
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("\nZeroDivisionError: 7")


@each_form
@each_logger
def test_a_traceback_shows_the_way_but_no_local_variable(
    capsys: pytest.CaptureFixture[str], form: Form, log: Any
) -> None:
    configure_logging("info", form)
    try:
        _fail()
    except ZeroDivisionError:
        log.exception("failed")
    output = capsys.readouterr().out
    assert "Traceback (most recent call last)" in output
    assert "in _fail" in output
    assert "ZeroDivisionError: 7" in output
    assert "planted" not in output


@each_form
@pytest.mark.parametrize("level", LEVELS)
def test_what_is_below_the_level_is_not_written(capsys: pytest.CaptureFixture[str], form: Form, level: Level) -> None:
    configure_logging(level, form)
    for name in LEVELS:
        getattr(structlog.get_logger(), name)(f"own-{name}")
        getattr(logging.getLogger("library"), name)(f"library-{name}")
    output = capsys.readouterr()
    lines = output.out.splitlines()
    wanted = [f"{who}-{name}" for name in LEVELS[LEVELS.index(level) :] for who in ("own", "library")]
    assert len(lines) == len(wanted)
    assert all(event in line for event, line in zip(wanted, lines, strict=True))
    assert output.err == ""


@each_form
def test_what_a_library_attaches_to_its_record_is_not_told(capsys: pytest.CaptureFixture[str], form: Form) -> None:
    configure_logging("info", form)
    logging.getLogger("library").warning("told", extra={"title": "planted", "planted": 1})
    output = capsys.readouterr().out
    assert "told" in output
    assert "planted" not in output


def test_alembic_tells_of_trouble_alone(logged: LoggedLines) -> None:
    logging.getLogger("alembic.runtime.migration").info("Context impl PostgresqlImpl.")
    logging.getLogger("alembic.runtime.migration").warning("trouble")
    assert [line["event"] for line in logged()] == ["trouble"]


@each_logger
def test_the_console_form_is_for_eyes(capsys: pytest.CaptureFixture[str], log: Any) -> None:
    configure_logging("info", "console")
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        log.warning("Buying milk")
    (line,) = capsys.readouterr().out.splitlines()
    assert "[warning" in line
    assert "Buying milk" in line
    assert "request_id=r-1" in line
    assert "\x1b" not in line


def test_configuring_again_replaces_what_was(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "console")
    configure_logging("info", "json")
    structlog.get_logger().info("own")
    logging.getLogger("library").info("theirs")
    assert [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()] == ["own", "theirs"]
