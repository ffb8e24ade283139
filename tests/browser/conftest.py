"""A browser, two sites, and a service that allows the origin of the first."""

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from tests.system.service import serving


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("no browser is installed: apt-get install chromium chromium-driver")
    options = ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for argument in (
        "--headless=new",
        "--no-sandbox",  # so that it also runs as root
        "--disable-gpu",
        "--disable-background-networking",
        "--window-size=1280,1600",
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # no internet access
    ):
        options.add_argument(argument)
    browser = Chrome(options, ChromeService(driver))
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def origins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Serve two sites, each with an empty page and a front end, and return their origins."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "index.html").write_text("<!doctype html><link rel=icon href='data:,'><title>A site</title>")
    shutil.copy(Path(__file__).with_name("todomvc.html"), folder)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) for _ in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    first, second = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    yield first, second
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def address(database_url: str, origins: tuple[str, str]) -> Iterator[str]:
    with serving(database_url, CORS_ORIGINS=origins[0]) as (_, client):
        yield str(client.base_url).rstrip("/")
