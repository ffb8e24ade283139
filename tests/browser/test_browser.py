"""A real browser: calls from another origin, and the documentation page. `make test-browser` runs this."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as present
from selenium.webdriver.support.ui import WebDriverWait

from tests.system.nginx import nginx, two_instances
from tests.system.service import PATIENCE_SECONDS

CALL = """
const [url, options, done] = arguments;
fetch(url, options).then(
    async answer => done({
        status: answer.status,
        etag: answer.headers.get("etag"),
        location: answer.headers.get("location"),
        link: answer.headers.get("link"),
        request_id: answer.headers.get("x-request-id"),
        body: await answer.text().then(text => text ? JSON.parse(text) : null),
    }),
    error => done(String(error)),
);
"""


def _call(browser: Chrome, method: str, url: str, body: str | None = None, **headers: str) -> Any:
    sent = {"X-User-Id": "browser", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return browser.execute_async_script(CALL, url, {"method": method, "headers": sent, "body": body})


def _console_errors(browser: Chrome) -> list[str]:
    """Return the errors of the page since the last call, failed requests included."""
    entries = browser.get_log("browser")  # type: ignore[no-untyped-call]  # selenium has no types for it
    return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]


def _click(browser: Chrome, selector: str) -> None:
    wait = WebDriverWait(browser, PATIENCE_SECONDS)
    element = wait.until(present.element_to_be_clickable((By.CSS_SELECTOR, selector)))
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def test_a_listed_origin_can_use_the_whole_api(browser: Chrome, address: str, origins: tuple[str, str]) -> None:
    browser.get(origins[0])
    json = {"Content_Type": "application/json"}
    made = _call(browser, "POST", f"{address}/v1/tasks", '{"title": "One"}', Idempotency_Key="k", **json)
    again = _call(browser, "POST", f"{address}/v1/tasks", '{"title": "One"}', Idempotency_Key="k", **json)
    assert (made["status"], again["status"], again["body"]) == (201, 200, made["body"])
    assert made["request_id"] != again["request_id"]
    url, etag = f"{address}/v1/{made['location']}", made["etag"]

    _call(browser, "POST", f"{address}/v1/tasks", '{"title": "Two"}', **json)
    page = _call(browser, "GET", f"{address}/v1/tasks?limit=1")
    assert ([task["title"] for task in page["body"]["items"]], 'rel="next"' in page["link"]) == (["Two"], True)

    edited = _call(browser, "PATCH", url, '{"completed": true}', If_Match=etag, **json)
    lost = _call(browser, "PATCH", url, '{"completed": false}', If_Match=etag, **json)
    assert (edited["status"], edited["body"]["completed"], lost["status"]) == (200, True, 412)
    assert lost["body"]["type"] == "urn:taskward:problem:precondition-failed"
    replaced = _call(browser, "PUT", url, '{"title": "New"}', If_Match=edited["etag"], X_Request_Id="mine", **json)
    assert (replaced["status"], replaced["request_id"]) == (200, "mine")

    assert _call(browser, "DELETE", url, If_Match=replaced["etag"])["status"] == 204
    assert _call(browser, "GET", url)["status"] == 404


def test_another_origin_can_read_nothing(browser: Chrome, address: str, origins: tuple[str, str]) -> None:
    browser.get(origins[1])
    assert _call(browser, "GET", f"{address}/v1/tasks") == "TypeError: Failed to fetch"
    assert _call(browser, "POST", f"{address}/v1/tasks", '{"title": "x"}') == "TypeError: Failed to fetch"


@pytest.fixture(params=["/", "/todo/"])
def root(address: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The service's own root, and one behind a proxy's path prefix."""
    if request.param == "/":
        yield f"{address}/"
    else:
        port = int(address.rpartition(":")[2])
        with nginx(two_instances(port, port, prefix=request.param)) as proxy:
            yield f"{proxy}{request.param}"


def test_the_documentation_page_can_send_a_request(browser: Chrome, root: str, tmp_path: Path) -> None:
    _console_errors(browser)  # drop the errors of earlier pages
    browser.get(root)
    wait = WebDriverWait(browser, PATIENCE_SECONDS)
    click = functools.partial(_click, browser)

    click("button.authorize")
    wait.until(present.visibility_of_element_located((By.CSS_SELECTOR, ".auth-container input"))).send_keys("docs")
    click(".auth-btn-wrapper button.authorize")
    click(".auth-btn-wrapper button.btn-done")
    click("#operations-tasks-create_task .opblock-summary-control")
    click("#operations-tasks-create_task button.execute")
    status = wait.until(
        present.visibility_of_element_located(
            (By.CSS_SELECTOR, "#operations-tasks-create_task .live-responses-table .response .response-col_status")
        )
    )
    browser.save_screenshot(str(tmp_path / "docs.png"))
    assert status.text.startswith("201")
    assert _console_errors(browser) == []


def test_the_documentation_page_folds_errors_and_models(browser: Chrome, address: str) -> None:
    browser.get(f"{address}/docs")
    _click(browser, "#operations-tasks-create_task .opblock-summary-control")
    operation = browser.find_element(By.ID, "operations-tasks-create_task")
    WebDriverWait(browser, PATIENCE_SECONDS).until(lambda _: operation.find_elements(By.CSS_SELECTOR, ".response"))
    folded = [line.text[2:5] for line in operation.find_elements(By.CSS_SELECTOR, ".folded")]
    assert folded == ["400", "401", "403", "408", "413", "415", "422", "500", "503"]
    assert operation.size["height"] < 3000
    assert browser.find_elements(By.CSS_SELECTOR, ".models") == []

    def examples() -> str:
        return " ".join(example.text for example in operation.find_elements(By.CSS_SELECTOR, ".response .example"))

    assert "urn:taskward:problem" not in examples()
    _click(browser, "#operations-tasks-create_task .folded")
    assert "urn:taskward:problem:malformed-body" in examples()
