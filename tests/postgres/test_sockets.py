"""Connections seen from outside."""

import socket
import threading

import psycopg
import pytest

from adapters.postgres.connections import sockets
from adapters.postgres.connections.sockets import cut, cut_after


def test_what_has_ended_by_itself_can_be_cut() -> None:
    with socket.socket() as never_connected:
        cut(never_connected)


def test_a_cut_that_has_begun_is_over_before_anything_else_begins(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, others, events = threading.Event(), threading.Event(), []

    def slow_cut(_: socket.socket) -> None:
        begun.set()
        others.wait(0.2)  # there are none
        events.append("cut")

    monkeypatch.setattr(sockets, "cut", slow_cut)
    with psycopg.connect(database_url) as connection:
        with cut_after(0, connection):
            begun.wait()
        events.append("other")
        others.set()
    assert events == ["cut", "other"]


def test_what_is_cut_reads_no_more() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        cut(ours)
        assert ours.recv(1) == theirs.recv(1) == b""
