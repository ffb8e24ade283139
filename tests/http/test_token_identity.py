"""`examples/token_identity.py`, which SECURITY.md shows: tokens instead of the header."""

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from openapi_spec_validator import validate

from domain.task import UserId
from entrypoints.container import Container
from examples import token_identity
from examples.token_identity import verify_tokens
from tests.fakes import InMemoryTaskRepository
from tests.http.conftest import client_of

NOW = datetime.now(UTC)
CLAIMS: dict[str, Any] = {
    "iss": "https://login.example.com",
    "aud": "taskward",
    "sub": "alice",
    "exp": NOW + timedelta(hours=1),
}


@pytest.fixture(scope="module")
def key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def public_key(key: RSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture
async def client(container: Container, public_key: str) -> AsyncIterator[httpx2.AsyncClient]:
    verify_tokens(container, key=public_key, issuer=CLAIMS["iss"])
    async with client_of(container) as client:
        yield client


def bearer(key: RSAPrivateKey, **changed: Any) -> dict[str, str]:
    claims = {name: value for name, value in (CLAIMS | changed).items() if value is not None}
    return {"Authorization": "Bearer " + jwt.encode(claims, key, "RS256")}


def test_the_page_shows_the_example_verbatim() -> None:
    page = Path(__file__).parents[2] / "SECURITY.md"
    assert f"```python\n{Path(token_identity.__file__).read_text()}```\n" in page.read_text()


async def test_a_token_names_the_caller(
    client: httpx2.AsyncClient, fake: InMemoryTaskRepository, key: RSAPrivateKey
) -> None:
    answer = await client.post("/v1/tasks", json={"title": "x"}, headers=bearer(key))
    assert (answer.status_code, answer.headers["vary"]) == (201, "Authorization")
    assert [task.owner for task in fake.stored.values()] == [UserId("alice")]
    assert (await client.get("/v1/tasks", headers=bearer(key, sub="bob"))).json()["items"] == []


async def test_the_header_is_ignored(client: httpx2.AsyncClient, key: RSAPrivateKey) -> None:
    await client.post("/v1/tasks", json={"title": "x"}, headers=bearer(key))
    both = await client.get("/v1/tasks", headers=bearer(key, sub="bob") | {"X-User-Id": "alice"})
    assert both.json()["items"] == []
    assert_refused(await client.get("/v1/tasks", headers={"X-User-Id": "alice"}))


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": NOW - timedelta(seconds=1)},
        {"nbf": NOW + timedelta(hours=1)},
        {"aud": "elsewhere"},
        {"iss": "https://login.example.org"},
        {"sub": ""},
        {"sub": " alice"},
        {"sub": "x" * 256},
        {"sub": 7},
        *[{name: None} for name in CLAIMS],
    ],
    ids=lambda changed: "-".join(f"{name}={str(value)[:12]}" for name, value in changed.items()),
)
async def test_a_token_with_wrong_claims_is_refused(
    client: httpx2.AsyncClient, key: RSAPrivateKey, changed: dict[str, Any]
) -> None:
    assert_refused(await client.get("/v1/tasks", headers=bearer(key, **changed)))


async def test_a_token_signed_with_another_key_is_refused(client: httpx2.AsyncClient) -> None:
    assert_refused(await client.get("/v1/tasks", headers=bearer(generate_private_key(65537, 2048))))


async def test_the_token_does_not_choose_the_algorithm(client: httpx2.AsyncClient, public_key: str) -> None:
    header = {"alg": "HS256", "typ": "JWT"}
    signed = ".".join(_base64(json.dumps(part, default=datetime.timestamp).encode()) for part in (header, CLAIMS))
    # Anybody who knows the public key can sign this, if the key is taken for a shared secret.
    signature = hmac.digest(public_key.encode(), signed.encode(), "sha256")
    for token in (f"{signed}.{_base64(signature)}", jwt.encode(CLAIMS, "", "none")):
        assert_refused(await client.get("/v1/tasks", headers={"Authorization": f"Bearer {token}"}))


async def test_a_changed_token_is_refused(client: httpx2.AsyncClient, key: RSAPrivateKey) -> None:
    head, _, signature = bearer(key)["Authorization"].split(".")
    _, bobs, _ = bearer(key, sub="bob")["Authorization"].split(".")
    assert_refused(await client.get("/v1/tasks", headers={"Authorization": f"{head}.{bobs}.{signature}"}))


@pytest.mark.parametrize(
    "written",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer a.b.c",
        "Bearer  {}",
        "Basic {}",
        "Digest {}",
        "{}",
        "Bearer {} {}",
        "é",
    ],
)
async def test_anything_but_a_bearer_token_is_refused(
    client: httpx2.AsyncClient, key: RSAPrivateKey, written: str
) -> None:
    token = bearer(key)["Authorization"].removeprefix("Bearer ")
    value = written.replace("{}", token).encode()
    assert_refused(await client.get("/v1/tasks", headers=[(b"Authorization", value)]))


async def test_a_missing_or_repeated_token_is_refused(client: httpx2.AsyncClient, key: RSAPrivateKey) -> None:
    for times in (0, 2):
        assert_refused(await client.get("/v1/tasks", headers=[*bearer(key).items()] * times))


async def test_the_scheme_may_be_in_any_case(client: httpx2.AsyncClient, key: RSAPrivateKey) -> None:
    upper_case = bearer(key)["Authorization"].replace("Bearer", "BEARER")
    assert (await client.get("/v1/tasks", headers={"Authorization": upper_case})).status_code == 200


async def test_the_document_describes_the_token(client: httpx2.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    validate(document)
    assert document["components"]["securitySchemes"] == {
        "UserId": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    assert "X-User-Id" not in str(document)
    refusal = document["paths"]["/v1/tasks"]["get"]["responses"]["401"]
    assert refusal["headers"]["WWW-Authenticate"]["example"] == "Bearer"


def _base64(part: bytes) -> str:
    return urlsafe_b64encode(part).rstrip(b"=").decode()


def assert_refused(answer: httpx2.Response) -> None:
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json()["type"] == "urn:taskward:problem:identity-required"
