"""The documentation page, and the root that leads to it."""

import httpx2
import pytest


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
