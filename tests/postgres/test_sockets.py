"""Connections seen from outside."""

import socket

from adapters.postgres.sockets import cut


def test_what_has_ended_by_itself_can_be_cut() -> None:
    with socket.socket() as never_connected:
        cut(never_connected)


def test_what_is_cut_reads_no_more() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        cut(ours)
        assert ours.recv(1) == theirs.recv(1) == b""
