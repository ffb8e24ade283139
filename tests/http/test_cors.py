"""Cross-origin access: only for the listed origins."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from dependency_injector import providers

from entrypoints.container import Container
from entrypoints.settings import Settings
from tests.conftest import LoggedLines
from tests.fakes import InMemoryTaskRepository
from tests.http.conftest import client_of

APP, OTHER = "https://app.example.com", "https://other.example.com"
PREFLIGHT = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "x-account,if-match"}


@pytest.fixture
async def cors_client(container: Container) -> AsyncIterator[httpx2.AsyncClient]:
    settings = Settings.load(cors_origins=f"http://localhost:5173, {APP}", user_id_header="X-Account")
    container.settings.override(settings)
    async with client_of(container) as client:
        yield client


def _cors_headers(answer: httpx2.Response) -> set[str]:
    return {name for name in answer.headers if name.startswith("access-control-")}


@pytest.mark.parametrize(
    "origin", ["capacitor://localhost", "tauri://localhost", "chrome-extension://abcdefghijklmnop"]
)
async def test_an_origin_may_have_any_scheme(container: Container, origin: str) -> None:
    container.settings.override(Settings.load(cors_origins=origin))
    async with client_of(container) as client:
        answer = await client.options("/v1/tasks", headers=PREFLIGHT | {"Origin": origin})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, origin)


async def test_the_operator_can_allow_further_headers(container: Container) -> None:
    container.settings.override(Settings.load(cors_origins=APP, cors_headers="Authorization, traceparent"))
    async with client_of(container) as client:
        answer = await client.options("/v1/tasks", headers=PREFLIGHT | {"Origin": APP})
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "traceparent", "x-user-id", "if-match"} <= set(allowed)
    assert answer.headers["access-control-max-age"] == "7200"


@pytest.mark.parametrize("origin", [APP, "http://localhost:5173"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
async def test_a_preflight_from_a_listed_origin_is_answered(
    cors_client: httpx2.AsyncClient, origin: str, method: str
) -> None:
    headers = PREFLIGHT | {"Origin": origin, "Access-Control-Request-Method": method}
    answer = await cors_client.options("/v1/tasks/anything", headers=headers)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == origin
    assert method in answer.headers["access-control-allow-methods"].split(", ")
    allowed = {name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert allowed >= {"x-account", "content-type", "if-match", "if-none-match", "idempotency-key", "x-request-id"}
    assert "access-control-allow-credentials" not in answer.headers
    assert "Origin" in answer.headers["vary"]
    assert answer.headers["x-request-id"]


async def test_a_preflight_grants_only_what_is_allowed(cors_client: httpx2.AsyncClient) -> None:
    headers = PREFLIGHT | {"Origin": APP, "Access-Control-Request-Headers": "x-other, authorization"}
    answer = await cors_client.options("/v1/tasks", headers=headers | {"Access-Control-Request-Method": "TRACE"})
    assert answer.status_code == 204
    assert "TRACE" not in answer.headers["access-control-allow-methods"]
    assert "x-other" not in answer.headers["access-control-allow-headers"].lower()


@pytest.mark.parametrize("origin", [OTHER, "null", APP + "/", "http://app.example.com", "https://app.example.com:444"])
async def test_a_preflight_from_elsewhere_gets_no_cors_header(cors_client: httpx2.AsyncClient, origin: str) -> None:
    answer = await cors_client.options("/v1/tasks", headers=PREFLIGHT | {"Origin": origin})
    assert (answer.status_code, answer.json()["type"]) == (405, "urn:taskward:problem:method-not-allowed")
    assert _cors_headers(answer) == set()
    assert "Origin" in answer.headers["vary"]


async def test_a_listed_origin_may_read_answers_and_headers(cors_client: httpx2.AsyncClient) -> None:
    answer = await cors_client.post("/v1/tasks", json={"title": "x"}, headers={"Origin": APP, "X-Account": "alice"})
    assert answer.status_code == 201
    assert answer.headers["access-control-allow-origin"] == APP
    exposed = set(answer.headers["access-control-expose-headers"].split(", "))
    assert exposed >= {"ETag", "Location", "Link", "X-Request-Id"}
    assert answer.headers["vary"] == "X-Account, Origin"


@pytest.mark.parametrize("headers", [{}, {"Origin": OTHER}])
async def test_answers_to_other_origins_only_vary(cors_client: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    answer = await cors_client.get("/v1/tasks", headers={"X-Account": "alice"} | headers)
    assert answer.status_code == 200
    assert _cors_headers(answer) == set()
    assert answer.headers["vary"] == "X-Account, Origin"


class BrokenRepository(InMemoryTaskRepository):
    async def list(self, *_: object, **__: object) -> None:  # type: ignore[override]  # always raises
        raise RuntimeError


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/nothing", {"X-Account": "alice"}, 404),
        ("/v1/tasks", {}, 401),
        ("/v1/tasks?limit=0", {"X-Account": "alice"}, 422),
        ("/v1/tasks", {"X-Account": "alice"}, 500),
    ],
)
async def test_a_listed_origin_may_read_errors(
    container: Container,
    cors_client: httpx2.AsyncClient,
    logged: LoggedLines,
    path: str,
    headers: dict[str, str],
    status: int,
) -> None:
    container.tasks.override(providers.Object(BrokenRepository()))
    answer = await cors_client.get(path, headers=headers | {"Origin": APP})
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["access-control-allow-origin"] == APP
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert [line["status"] for line in logged() if line["event"] == "request"] == [status]


async def test_without_listed_origins_there_is_no_cors(client: httpx2.AsyncClient, as_alice: dict[str, str]) -> None:
    assert _cors_headers(await client.get("/v1/tasks", headers=as_alice | {"Origin": APP})) == set()
    answer = await client.options("/v1/tasks", headers=PREFLIGHT | {"Origin": APP})
    assert answer.status_code == 405
    assert _cors_headers(answer) == set()
