"""A service whose URL names several nodes of a cluster: it enters at any; a lost one costs no later request."""

import contextlib
import socket

from psycopg.conninfo import conninfo_to_dict

from tests.databases import with_parameters
from tests.postgres.wire import Wire, tapped
from tests.system.service import serving

ROUNDS = 60  # nobody meets with one of two nodes alone in so many


def cut(node: Wire) -> None:
    """Every connection through the node ends."""
    for client in node.clients:
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


def test_connections_are_spread_over_the_nodes_and_a_lost_node_is_done_without(database_url: str) -> None:
    with tapped(database_url) as stays, contextlib.ExitStack() as life:
        goes = life.enter_context(tapped(database_url))
        hosts = ",".join(str(conninfo_to_dict(node.url)["host"]) for node in (stays, goes))
        with serving(with_parameters(stays.url, host=hosts, load_balance_hosts="random")) as (_, client):
            for _ in range(ROUNDS):
                cut(stays)
                cut(goes)
                assert client.get("/v1/tasks").status_code == 200
            assert min(len(node.clients) for node in (stays, goes)) > 2
            life.close()
            cut(goes)
            for _ in range(ROUNDS):
                cut(stays)
                assert client.get("/v1/tasks").status_code == 200
