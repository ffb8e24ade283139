"""The identity header: without a valid one the answer is 401."""

import httpx2
import pytest

from entrypoints.container import Container
from entrypoints.settings import Settings
from tests.fakes import InMemoryTaskRepository
from tests.http.conftest import client_of


@pytest.mark.parametrize(
    "value",
    [b"", b" ", b"\xc3\xa4lice", b"al\x7fice", b"x" * 256, b"tab\tinside"],
    ids=["empty", "blank", "non-ASCII", "control character", "256 characters", "tab"],
)
async def test_an_invalid_identity_is_refused(
    client: httpx2.AsyncClient, fake: InMemoryTaskRepository, value: bytes
) -> None:
    answer = await client.post("/v1/tasks", json={"title": "x"}, headers=[(b"X-User-Id", value)])
    _assert_identity_required(answer)
    assert not value.strip() or value.decode("latin-1") not in answer.text
    assert fake.stored == {}


async def test_a_missing_identity_is_refused(client: httpx2.AsyncClient) -> None:
    _assert_identity_required(await client.get("/v1/tasks"))


async def test_a_repeated_identity_is_refused(client: httpx2.AsyncClient) -> None:
    _assert_identity_required(await client.get("/v1/tasks", headers=[("X-User-Id", "alice"), ("x-user-id", "alice")]))


async def test_the_longest_identity_is_accepted(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/v1/tasks", headers={"X-User-Id": "x" * 255})).status_code == 200


@pytest.mark.parametrize("elsewhere", ["x_user_id", "X_User_Id", "X-UserId", "X-User-Id-", "User-Id", "Remote-User"])
async def test_an_identity_under_another_name_is_ignored(client: httpx2.AsyncClient, elsewhere: str) -> None:
    _assert_identity_required(await client.get("/v1/tasks", headers={elsewhere: "alice"}))


async def test_an_identity_in_the_url_is_ignored(client: httpx2.AsyncClient) -> None:
    for query in ("user_id=alice", "X-User-Id=alice"):
        _assert_identity_required(await client.get(f"/v1/tasks?{query}"))


@pytest.mark.parametrize("stranger", ["Alice", "alice ", "ali ce", "alice%", "al%69ce", "alice,bob", "bob,alice"])
async def test_identities_are_compared_exactly(client: httpx2.AsyncClient, stranger: str) -> None:
    await client.post("/v1/tasks", json={"title": "x"}, headers={"X-User-Id": "alice"})
    answer = await client.get("/v1/tasks", headers={"X-User-Id": stranger})
    assert answer.status_code == 401 or answer.json()["items"] == []


async def test_the_headers_name_is_configurable(container: Container) -> None:
    container.settings.override(Settings.load(user_id_header="X-Account"))
    async with client_of(container) as client:
        assert (await client.get("/v1/tasks", headers={"X-Account": "alice"})).status_code == 200
        refusal = await client.get("/v1/tasks", headers={"X-User-Id": "alice"})
        _assert_identity_required(refusal)
        assert "X-Account" in refusal.headers["www-authenticate"]
        document = (await client.get("/openapi.json")).json()
    assert "X-User-Id" not in str(document)
    scheme = document["components"]["securitySchemes"]["UserId"]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "X-Account")


def _assert_identity_required(answer: httpx2.Response) -> None:
    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:taskward:problem:identity-required"
    assert answer.headers["www-authenticate"].startswith("APIKey ")
