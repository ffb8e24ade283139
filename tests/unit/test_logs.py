"""What is logged: an event a line, everybody's in one form, and nothing that was not meant to be told."""

import asyncio
import contextlib
import json
import logging
import os
import select
import socket
import tempfile
from collections.abc import Iterator
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
    capfd: pytest.CaptureFixture[str], form: Form, log: Any
) -> None:
    configure_logging("info", form)
    try:
        _fail()
    except ZeroDivisionError:
        log.exception("failed")
    output = capfd.readouterr().out
    assert "Traceback (most recent call last)" in output
    assert "in _fail" in output
    assert "ZeroDivisionError: 7" in output
    assert "planted" not in output


@each_form
@pytest.mark.parametrize("level", LEVELS)
def test_what_is_below_the_level_is_not_written(capfd: pytest.CaptureFixture[str], form: Form, level: Level) -> None:
    configure_logging(level, form)
    for name in LEVELS:
        getattr(structlog.get_logger(), name)(f"own-{name}")
        getattr(logging.getLogger("library"), name)(f"library-{name}")
    output = capfd.readouterr()
    lines = output.out.splitlines()
    wanted = [f"{who}-{name}" for name in LEVELS[LEVELS.index(level) :] for who in ("own", "library")]
    assert len(lines) == len(wanted)
    assert all(event in line for event, line in zip(wanted, lines, strict=True))
    assert output.err == ""


@each_form
def test_what_a_library_attaches_to_its_record_is_not_told(capfd: pytest.CaptureFixture[str], form: Form) -> None:
    configure_logging("info", form)
    logging.getLogger("library").warning("told", extra={"title": "planted", "planted": 1})
    output = capfd.readouterr().out
    assert "told" in output
    assert "planted" not in output


def test_alembic_tells_of_trouble_alone(logged: LoggedLines) -> None:
    logging.getLogger("alembic.runtime.migration").info("Context impl PostgresqlImpl.")
    logging.getLogger("alembic.runtime.migration").warning("trouble")
    assert [line["event"] for line in logged()] == ["trouble"]


@each_logger
def test_the_console_form_is_for_eyes(capfd: pytest.CaptureFixture[str], log: Any) -> None:
    configure_logging("info", "console")
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        log.warning("Buying milk")
    (line,) = capfd.readouterr().out.splitlines()
    assert "[warning" in line
    assert "Buying milk" in line
    assert "request_id=r-1" in line
    assert "\x1b" not in line


def test_configuring_again_replaces_what_was(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "console")
    configure_logging("info", "json")
    structlog.get_logger().info("own")
    logging.getLogger("library").info("theirs")
    assert [json.loads(line)["event"] for line in capfd.readouterr().out.splitlines()] == ["own", "theirs"]


@each_form
def test_a_librarys_malformed_line_is_logged_and_raises_nothing(capfd: pytest.CaptureFixture[str], form: Form) -> None:
    configure_logging("info", form)
    logging.getLogger("library").warning("%d of %d", "one")  # noqa: PLE1206 - on purpose
    assert "%d of %d" in capfd.readouterr().out


def test_the_console_form_bears_what_utf_8_does_not(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "console")
    structlog.get_logger().info("\ud800")
    assert "\\ud800" in capfd.readouterr().out


@pytest.fixture
def writes() -> Iterator[socket.socket]:
    """What is written to this output comes out of it write by write."""
    reader, writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with reader, writer:
        reader.settimeout(0)
        configure_logging("info", "json", descriptor=writer.fileno())
        yield reader


def events(text: bytes) -> list[Any]:
    return [json.loads(line)["event"] for line in text.splitlines()]


async def test_the_lines_of_one_turn_are_one_write(writes: socket.socket) -> None:
    for name in ("one", "two", "three"):
        structlog.get_logger().info(name)
    await asyncio.sleep(0)
    structlog.get_logger().info("next turn")
    await asyncio.sleep(0)
    assert [events(writes.recv(9999)), events(writes.recv(9999))] == [["one", "two", "three"], ["next turn"]]


def test_a_line_outside_of_a_loop_is_written_at_once(writes: socket.socket) -> None:
    for name in ("one", "two"):
        structlog.get_logger().info(name)
        assert events(writes.recv(9999)) == [name]


async def test_a_line_of_another_thread_is_written_at_once(writes: socket.socket) -> None:
    await asyncio.to_thread(structlog.get_logger().info, "elsewhere")
    assert events(writes.recv(9999)) == ["elsewhere"]


def test_a_loop_that_ends_early_keeps_no_later_line_back(writes: socket.socket) -> None:
    loop = asyncio.new_event_loop()
    loop.call_soon(structlog.get_logger().info, "early")
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    structlog.get_logger().info("late")
    assert events(writes.recv(9999)) == ["early", "late"]


async def test_a_long_turn_is_written_in_pieces_that_end_with_a_line(writes: socket.socket) -> None:
    for number in range(50):
        structlog.get_logger().info("x" * 150, number=number)
    await asyncio.sleep(0)
    pieces = [writes.recv(9999), writes.recv(9999), writes.recv(9999)]
    assert all(len(piece) <= select.PIPE_BUF and piece.endswith(b"\n") for piece in pieces)
    assert [json.loads(line)["number"] for line in b"".join(pieces).splitlines()] == list(range(50))


async def test_a_line_longer_than_a_piece_is_written_whole(writes: socket.socket) -> None:
    structlog.get_logger().info("x" * 6000)
    await asyncio.sleep(0)
    assert events(writes.recv(9999) + writes.recv(9999)) == ["x" * 6000]


Stuck = tuple[int, int]


@pytest.fixture(params=["pipe", "socket"])
def stuck(request: pytest.FixtureRequest) -> Iterator[Stuck]:
    """The reader's and the writer's end of an output that nobody reads; logs go there."""
    if request.param == "pipe":
        ends = os.pipe()
    else:
        reader, writer = socket.socketpair()
        ends = reader.detach(), writer.detach()
    configure_logging("info", "json", descriptor=ends[1])
    yield ends
    for end in ends:
        os.close(end)


def read_all(reader: int) -> bytes:
    """What is there now."""
    os.set_blocking(reader, False)
    text = b""
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(reader, 65536):
            text += piece
    return text


async def test_a_reader_that_does_not_read_stops_nothing_and_lines_are_counted(stuck: Stuck) -> None:
    total = 8000
    for _ in range(total):
        structlog.get_logger().info("x" * 300)
        await asyncio.sleep(0)
    text = b""
    async with asyncio.timeout(30):
        while b"log lines dropped" not in text:
            text += read_all(stuck[0])
            await asyncio.sleep(0)
    *written, notice = map(json.loads, text.splitlines())
    assert (notice["event"], notice["level"]) == ("log lines dropped", "warning")
    assert 0 < notice["lines"] < total
    assert len(written) + notice["lines"] == total
    assert {line["event"] for line in written} == {"x" * 300}
    structlog.get_logger().info("again")
    await asyncio.sleep(0)
    assert events(read_all(stuck[0])) == ["again"]


async def test_a_reader_that_falls_behind_loses_no_line(stuck: Stuck) -> None:
    for number in range(2000):
        structlog.get_logger().info("x" * 300, number=number)
    text = b""
    async with asyncio.timeout(30):
        while text.count(b"\n") < 2000:
            text += read_all(stuck[0])
            await asyncio.sleep(0)
    assert [json.loads(line)["number"] for line in text.splitlines()] == list(range(2000))


def test_nobody_elses_descriptor_is_changed(stuck: Stuck) -> None:
    structlog.get_logger().info("x")
    assert os.get_blocking(stuck[1])


def test_a_reader_that_has_gone_is_no_failure() -> None:
    reader, writer = os.pipe()
    configure_logging("info", "json", descriptor=writer)
    os.close(reader)
    structlog.get_logger().info("x")
    os.close(writer)


def test_a_full_disk_is_no_failure_and_its_lines_are_kept() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    output = configure_logging("info", "json", descriptor=full)
    structlog.get_logger().info("kept")
    with tempfile.TemporaryFile() as file:  # room again
        os.dup2(file.fileno(), full)
        output.flush()
        file.seek(0)
        assert events(file.read()) == ["kept"]
    os.close(full)
