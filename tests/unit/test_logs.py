"""Logs: one event a line, one form for our lines and the libraries', and nothing secret."""

import asyncio
import contextlib
import json
import logging
import os
import re
import select
import socket
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
import structlog

from entrypoints.logs import configure_logging
from tests.conftest import LoggedLines

Level = Literal["debug", "info", "warning", "error"]
Form = Literal["json", "console"]
LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")

pytestmark = pytest.mark.usefixtures("logged")  # restores the logging afterwards

each_form = pytest.mark.parametrize("form", ["json", "console"])
each_logger = pytest.mark.parametrize(
    "log", [structlog.get_logger(), logging.getLogger("library")], ids=["own", "library"]
)


CHECKOUT = Path(__file__).parents[2]
LOGGED = re.compile(r'(?:\blog|_log|get_logger\(\))(?:\.\w+)?\(\s*"([^"]+)"')
EXPLAINED = re.compile(r"^\| ((?:`[a-z ]+`(?:, )?)+) \|", re.MULTILINE)


def test_the_guide_explains_every_event() -> None:
    sources = [file for package in ("adapters", "entrypoints") for file in (CHECKOUT / package).rglob("*.py")]
    logged_events = {event for file in sources for event in LOGGED.findall(file.read_text())}
    guide = (CHECKOUT / "docs" / "operations.md").read_text()
    _, _, section = guide.partition("## What the log lines mean")
    explained = {
        event for row in EXPLAINED.findall(section.partition("\n## ")[0]) for event in re.findall("`(.+?)`", row)
    }
    assert logged_events >= {"ready", "database", "request", "telemetry is off", "log lines dropped"}
    assert logged_events == explained - {"event"}


def _fail() -> None:
    title = "plan" + "ted"
    raise ZeroDivisionError(len(title))


@each_logger
def test_an_event_is_one_line_of_json(logged: LoggedLines, log: Any) -> None:
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


def test_a_librarys_line_only_adds_its_logger(logged: LoggedLines) -> None:
    structlog.get_logger().warning("2 of 3")
    logging.getLogger("library.part").warning("%d of %d", 2, 3)
    own, theirs = logged()
    assert theirs == own | {"logger": "library.part", "timestamp": theirs["timestamp"]}


@each_logger
def test_a_line_carries_the_bound_request_id(logged: LoggedLines, log: Any) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        log.info("within")
    log.info("after")
    within, after = logged()
    assert within["request_id"] == "r-1"
    assert "request_id" not in after


@each_logger
def test_an_exception_is_logged_in_its_line(logged: LoggedLines, log: Any) -> None:
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
def test_a_traceback_shows_no_local_variables(capfd: pytest.CaptureFixture[str], form: Form, log: Any) -> None:
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
def test_lines_below_the_level_are_not_written(capfd: pytest.CaptureFixture[str], form: Form, level: Level) -> None:
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
def test_a_librarys_extra_fields_are_not_logged(capfd: pytest.CaptureFixture[str], form: Form) -> None:
    configure_logging("info", form)
    logging.getLogger("library").warning("event", extra={"title": "planted", "planted": 1})
    output = capfd.readouterr().out
    assert "event" in output
    assert "planted" not in output


def test_alembic_logs_only_warnings(logged: LoggedLines) -> None:
    logging.getLogger("alembic.runtime.migration").info("Context impl PostgresqlImpl.")
    logging.getLogger("alembic.runtime.migration").warning("trouble")
    assert [line["event"] for line in logged()] == ["trouble"]


@each_logger
def test_the_console_form_is_plain_text(capfd: pytest.CaptureFixture[str], log: Any) -> None:
    configure_logging("info", "console")
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        log.warning("Buying milk")
    (line,) = capfd.readouterr().out.splitlines()
    assert "[warning" in line
    assert "Buying milk" in line
    assert "request_id=r-1" in line
    assert "\x1b" not in line


def test_configuring_again_replaces_the_old_configuration(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "console")
    configure_logging("info", "json")
    structlog.get_logger().info("own")
    logging.getLogger("library").info("theirs")
    assert [json.loads(line)["event"] for line in capfd.readouterr().out.splitlines()] == ["own", "theirs"]


@each_form
def test_a_librarys_malformed_line_is_still_logged(capfd: pytest.CaptureFixture[str], form: Form) -> None:
    configure_logging("info", form)
    logging.getLogger("library").warning("%d of %d", "one")  # noqa: PLE1206 - on purpose
    assert "%d of %d" in capfd.readouterr().out


def test_the_console_form_escapes_lone_surrogates(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "console")
    structlog.get_logger().info("\ud800")
    assert "\\ud800" in capfd.readouterr().out


@pytest.fixture
def writes() -> Iterator[socket.socket]:
    """The reading end of the log output: each `recv` returns one write."""
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


def test_without_a_loop_lines_are_written_at_once(writes: socket.socket) -> None:
    for name in ("one", "two"):
        structlog.get_logger().info(name)
        assert events(writes.recv(9999)) == [name]


async def test_another_threads_line_is_written_at_once(writes: socket.socket) -> None:
    await asyncio.to_thread(structlog.get_logger().info, "elsewhere")
    assert events(writes.recv(9999)) == ["elsewhere"]


def test_an_early_ended_loop_delays_no_later_line(writes: socket.socket) -> None:
    loop = asyncio.new_event_loop()
    loop.call_soon(structlog.get_logger().info, "early")
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    structlog.get_logger().info("late")
    assert events(writes.recv(9999)) == ["early", "late"]


async def test_a_long_turn_is_split_between_lines(writes: socket.socket) -> None:
    for number in range(50):
        structlog.get_logger().info("x" * 150, number=number)
    await asyncio.sleep(0)
    pieces = [writes.recv(9999), writes.recv(9999), writes.recv(9999)]
    assert all(len(piece) <= select.PIPE_BUF and piece.endswith(b"\n") for piece in pieces)
    assert [json.loads(line)["number"] for line in b"".join(pieces).splitlines()] == list(range(50))


async def test_a_very_long_line_is_written_whole(writes: socket.socket) -> None:
    structlog.get_logger().info("x" * 6000)
    await asyncio.sleep(0)
    assert events(writes.recv(9999) + writes.recv(9999)) == ["x" * 6000]


Stuck = tuple[int, int]


@pytest.fixture(params=["pipe", "socket"])
def stuck(request: pytest.FixtureRequest) -> Iterator[Stuck]:
    """The reading and the writing end of a log output that nobody reads."""
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
    """Read what is there now."""
    os.set_blocking(reader, False)
    text = b""
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(reader, 65536):
            text += piece
    return text


async def test_a_stuck_reader_costs_only_counted_lines(stuck: Stuck) -> None:
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


async def test_a_slow_reader_loses_no_line(stuck: Stuck) -> None:
    for number in range(2000):
        structlog.get_logger().info("x" * 300, number=number)
    text = b""
    async with asyncio.timeout(30):
        while text.count(b"\n") < 2000:
            text += read_all(stuck[0])
            await asyncio.sleep(0)
    assert [json.loads(line)["number"] for line in text.splitlines()] == list(range(2000))


def test_the_descriptor_stays_blocking(stuck: Stuck) -> None:
    structlog.get_logger().info("x")
    assert os.get_blocking(stuck[1])


def test_a_closed_reader_raises_nothing() -> None:
    reader, writer = os.pipe()
    configure_logging("info", "json", descriptor=writer)
    os.close(reader)
    structlog.get_logger().info("x")
    os.close(writer)


def test_a_full_disk_keeps_its_lines() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    output = configure_logging("info", "json", descriptor=full)
    structlog.get_logger().info("kept")
    with tempfile.TemporaryFile() as file:  # the disk has room again
        os.dup2(file.fileno(), full)
        output.flush()
        file.seek(0)
        assert events(file.read()) == ["kept"]
    os.close(full)
