"""The documentation page, and the root that leads to it."""

import httpx2
import pytest
from starlette.staticfiles import StaticFiles


@pytest.mark.parametrize("accept", ["text/html", "text/html,application/xhtml+xml,*/*;q=0.8"])
async def test_the_root_redirects_a_browser_to_the_page(client: httpx2.AsyncClient, accept: str) -> None:
    answer = await client.get("/", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["location"]) == (303, "docs")


@pytest.mark.parametrize("accept", ["*/*", "application/json"])
async def test_the_root_names_the_documents_to_programs(client: httpx2.AsyncClient, accept: str) -> None:
    answer = await client.get("/", headers={"Accept": accept})
    assert answer.json() == {"documentation": "docs", "openapi": "openapi.json"}
    for document in answer.json().values():
        assert (await client.get(f"/{document}")).is_success


async def test_no_other_page_may_frame_the_documents(client: httpx2.AsyncClient) -> None:
    policy = (await client.get("/docs")).headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'self'" in policy


async def test_the_page_has_its_own_icon(client: httpx2.AsyncClient) -> None:
    assert 'href="docs/icon.svg"' in (await client.get("/docs")).text
    assert (await client.get("/docs/icon.svg")).headers["content-type"].startswith("image/svg+xml")


async def test_a_long_asset_path_is_not_looked_up(client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    sought: list[str] = []

    def look_up(_: StaticFiles, path: str) -> tuple[str, None]:
        sought.append(path)
        return "", None

    monkeypatch.setattr(StaticFiles, "lookup_path", look_up)
    for path in ("a/" * 30_000, "short"):
        answer = await client.get(f"/docs/assets/{path}")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:taskward:problem:not-found")
    assert sought == ["short"]
