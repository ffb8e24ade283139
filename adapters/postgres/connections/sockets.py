"""Connections seen from outside: whether one still stands, and how to end one that is waited for."""

import contextlib
import os
import select
import socket
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg.pq import ConnStatus


@contextlib.contextmanager
def cut_after(seconds: float, connection: "psycopg.Connection[Any]") -> Iterator[None]:
    """Ends the connection if the context takes longer."""
    with duplicate_socket(connection) as duplicate:
        timer = threading.Timer(seconds, cut, [duplicate])
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


def duplicate_socket(connection: "psycopg.Connection[Any]") -> socket.socket:
    """The connection's socket under a descriptor of its own, which stays ours when the driver closes its."""
    return socket.socket(fileno=os.dup(connection.fileno()))


def cut(duplicate: socket.socket) -> None:
    """Ends the connection from outside: whoever waits for it goes on."""
    with contextlib.suppress(OSError):  # it has ended by itself
        duplicate.shutdown(socket.SHUT_RDWR)


def is_usable(connection: "psycopg.Connection[Any]") -> bool:
    """Whether the server has not hung up, found out from the socket alone, without a round trip."""
    pgconn = connection.pgconn
    try:
        poll = select.poll()
        poll.register(pgconn.socket, select.POLLIN)
        while poll.poll(0):
            pgconn.consume_input()
    except psycopg.Error:
        return False
    return pgconn.status == ConnStatus.OK
