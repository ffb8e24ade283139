"""nginx in front, as the documents show it: identities, preflights, a path prefix, compression."""

import json
import re
import socket
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from tests.system.nginx import nginx, two_instances
from tests.system.raw import Address, read_one, read_to_end
from tests.system.service import PATIENCE_SECONDS, TASK, Service, client_of, serving

PAGE = (Path(__file__).parents[2] / "SECURITY.md").read_text()
EXAMPLE: str = re.findall(r"^```nginx\n(.+?)^```", PAGE, re.DOTALL | re.MULTILINE)[0]
APP = "https://app.example.com"
AS_ALICE, AS_BOB = (
    f"Authorization: Basic {b64encode(password).decode()}\r\n" for password in (b"alice:secret", b"bob:wrong")
)
COMPRESSING = "gzip on; gzip_types application/json; gzip_proxied any; gzip_min_length 1;"
PREFIX = "/todo/"


def _example(upstream: str) -> str:
    return EXAMPLE.replace("127.0.0.1:8000", upstream)


def _address(url: str) -> Address:
    return "127.0.0.1", int(url.rpartition(":")[2])


@pytest.fixture(scope="module")
def behind(database_url: str) -> Iterator[tuple[Service, Address]]:
    """The service, and the address of the proxy in front of it."""
    with (
        serving(database_url, CORS_ORIGINS=APP, CORS_HEADERS="Authorization") as (service, client),
        nginx(_example(f"127.0.0.1:{client.base_url.port}")) as url,
    ):
        yield service, _address(url)


FORGED = {
    "nothing": ("", ""),
    "once": ("X-User-Id: bob\r\n", ""),
    "often": ("X-User-Id: bob\r\nx-user-id: alice\r\nX-USER-ID: carol\r\n", ""),
    "with underscores": ("x_user_id: bob\r\nX_USER_ID: bob\r\n", ""),
    "named in Connection": ("Connection: X-User-Id\r\nX-User-Id: bob\r\n", ""),
    "in a trailer": ("Trailer: X-User-Id\r\n", "X-User-Id: bob\r\n"),
}


@pytest.mark.parametrize("said", FORGED)
def test_no_identity_passes_but_the_proxys_own(behind: tuple[Service, Address], said: str) -> None:
    service, proxy = behind
    header, trailer = FORGED[said]
    request_id, answer = create(proxy, AS_ALICE + header, trailer)
    assert answer.startswith("HTTP/1.1 201 ")
    operation = json.loads(service.wait_for(request_id))
    assert (operation["event"], operation["user_id"]) == ("database", "alice")


@pytest.mark.parametrize("credentials", ["", AS_BOB, AS_ALICE.replace("Basic ", "Basic x")])
def test_without_a_password_nothing_passes(behind: tuple[Service, Address], credentials: str) -> None:
    service, proxy = behind
    request_id, answer = create(proxy, credentials + "X-User-Id: bob\r\n")
    assert answer.startswith("HTTP/1.1 401 ")
    service.wait_for(create(proxy, AS_ALICE)[0])  # logged after anything of the refused one
    assert request_id not in "".join(service.lines)


def create(proxy: Address, headers: str, trailer: str = "") -> tuple[str, str]:
    """Send a request with these headers, and this trailer after its body. Returns its id and the answer."""
    request_id = uuid4().hex
    with socket.create_connection(proxy, PATIENCE_SECONDS) as connection:
        connection.sendall(
            "POST /v1/tasks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
            f"Transfer-Encoding: chunked\r\nX-Request-Id: {request_id}\r\n"
            f'{headers}\r\ne\r\n{{"title": "x"}}\r\n0\r\n{trailer}\r\n'.encode()
        )
        return request_id, read_to_end(connection).decode()


PREFLIGHT = (
    f"OPTIONS /v1/tasks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nOrigin: {APP}\r\n"
    "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization,content-type\r\n"
)


def test_a_preflight_passes_without_a_password(behind: tuple[Service, Address]) -> None:
    with socket.create_connection(behind[1], PATIENCE_SECONDS) as connection:
        connection.sendall(f"{PREFLIGHT}\r\n".encode())
        answer = read_to_end(connection).decode().lower()
    assert answer.startswith("http/1.1 204 ")
    assert f"access-control-allow-origin: {APP}\r\n" in answer
    (allowed,) = re.findall("access-control-allow-headers: (.+)\r", answer)
    assert {"authorization", "content-type"} <= set(allowed.split(", "))


@pytest.mark.parametrize("forged", ["", "X-User-Id: bob\r\n", AS_BOB])
def test_no_identity_passes_with_a_preflight(forged: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        upstream.settimeout(PATIENCE_SECONDS)
        port = upstream.getsockname()[1]
        with nginx(_example(f"127.0.0.1:{port}")) as url, socket.create_connection(_address(url)) as connection:
            connection.sendall(f"{PREFLIGHT}{forged}\r\n".encode())
            with upstream.accept()[0] as passed:
                head = read_one(passed)
    assert head.startswith(b"OPTIONS ")
    assert b"x-user-id" not in head.lower()


@pytest.fixture(scope="module")
def ports(database_url: str) -> Iterator[tuple[int, int]]:
    with serving(database_url) as (_, one), serving(database_url) as (_, other):
        yield one.base_url.port or 0, other.base_url.port or 0


def test_a_refusal_reaches_a_client_behind_a_proxy(ports: tuple[int, int]) -> None:
    passing_on = "client_max_body_size 0; proxy_request_buffering off;"
    with nginx(passing_on + two_instances(*ports)) as url:
        for _ in range(20):
            with client_of(url) as client:  # nginx says that it keeps the connection, but closes it
                answer = client.post(
                    "/v1/tasks", content=b" " * 5_000_000, headers={"Content-Type": "application/json"}
                )
                assert answer.status_code == 413


def test_the_service_works_behind_a_path_prefix(ports: tuple[int, int]) -> None:
    with nginx(COMPRESSING + two_instances(*ports, prefix=PREFIX)) as url, client_of(url) as client:
        for _ in range(3):  # two remain, one for each page
            made = client.post(f"{PREFIX}v1/tasks", json=TASK)
        task = made.url.join(made.headers["location"])
        etag = client.get(task).headers["etag"]
        assert client.patch(task, json={"completed": True}, headers={"If-Match": etag}).status_code == 200
        page = client.get(f"{PREFIX}v1/tasks?limit=1&completed=false")
        rest = page.url.join(page.links["next"]["url"])
        assert rest.path == f"{PREFIX}v1/tasks"
        assert client.get(rest).status_code == 200
        assert client.delete(task).status_code == 204


@pytest.fixture
def compressed(ports: tuple[int, int]) -> Iterator[httpx2.Client]:
    """A client of an nginx that compresses: its configuration lacks the guide's `gzip off`."""
    guided = two_instances(*ports)
    unguided = re.sub(r" *gzip off;.*\n", "", guided)
    assert unguided != guided
    with nginx(COMPRESSING + unguided) as url, client_of(url) as client:
        yield client


def test_after_compression_only_the_bodys_etag_matches(compressed: httpx2.Client) -> None:
    made = compressed.post("/v1/tasks", json=TASK)
    url = made.url.join(made.headers["location"])
    read = compressed.get(url)
    weak, etag = read.headers["etag"], read.json()["etag"]
    assert (read.headers["content-encoding"], weak) == ("gzip", f"W/{etag}")
    assert compressed.patch(url, json={}, headers={"If-Match": weak}).status_code == 412
    assert compressed.patch(url, json={}, headers={"If-Match": etag}).status_code == 200


def test_after_compression_known_content_is_still_304(compressed: httpx2.Client) -> None:
    made = compressed.post("/v1/tasks", json=TASK)
    for url in (made.url, made.url.join(made.headers["location"])):
        weak = compressed.get(url).headers["etag"]
        assert weak.startswith("W/")
        assert compressed.get(url, headers={"If-None-Match": weak}).status_code == 304
