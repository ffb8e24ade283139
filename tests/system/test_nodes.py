"""A service whose URL names several nodes of a cluster: it connects to any of them, and a lost one costs no request."""

import contextlib
import socket

from psycopg.conninfo import conninfo_to_dict

from tests.databases import with_parameters
from tests.postgres.wire import Wire, tapped
from tests.system.service import serving

ROUNDS = 60  # in so many rounds both nodes are sure to be chosen


def cut(node: Wire) -> None:
    """End every connection through the node."""
    for client in node.clients:
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


def test_a_lost_node_costs_no_request(database_url: str) -> None:
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
