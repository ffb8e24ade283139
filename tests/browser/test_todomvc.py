"""TodoMVC's eight features from another origin: how many requests each takes, however many tasks there are."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import psycopg
import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.system.service import PATIENCE_SECONDS

ID = re.compile(r"[0-9a-f-]{36}")
SEED = """
insert into tasks (user_id, title, completed, created_at)
select %(user)s, 'Task ' || n, n %% 2 = 0, now() - n * interval '1 second' from generate_series(1, %(number)s) n
"""


class Page:
    """The page with one user's tasks, and the requests that the browser records."""

    def __init__(self, browser: Chrome) -> None:
        self._browser = browser

    def requests_of(self, action: Callable[[], object]) -> list[str]:
        """Return the requests until the page shows the outcome, without preflights and pages of the list."""
        self._sent()  # drop the earlier ones
        before = self._acted()
        action()
        WebDriverWait(self._browser, PATIENCE_SECONDS, 0.02).until(lambda _: self._acted() not in {None, before})
        assert self._browser.find_element(By.CSS_SELECTOR, ".fault").text == ""
        return [sent for sent in self._sent() if not sent.startswith("GET /v1/tasks?")]

    def left(self) -> int:
        return int(self._browser.find_element(By.CSS_SELECTOR, ".todo-count").text.split()[0])

    def titles(self) -> list[str]:
        script = "return [...document.querySelectorAll('.todo-list label')].map(label => label.textContent)"
        return list(self._browser.execute_script(script))

    def click(self, selector: str) -> None:
        self._browser.find_element(By.CSS_SELECTOR, selector).click()

    def enter(self, selector: str, text: str) -> None:
        self._browser.find_element(By.CSS_SELECTOR, selector).send_keys(text, Keys.ENTER)

    def edit_first(self, text: str) -> None:
        label = self._browser.find_element(By.CSS_SELECTOR, ".todo-list label")
        ActionChains(self._browser).double_click(label).perform()
        self.enter(".edit", text)

    def _acted(self) -> str | None:
        """Return a value that differs after each action of the page."""
        return self._browser.find_element(By.TAG_NAME, "body").get_dom_attribute("data-acted")

    def _sent(self) -> list[str]:
        """Return what the browser has sent to the service since the last call."""
        entries = self._browser.get_log("performance")  # type: ignore[no-untyped-call]  # selenium has no types for it
        events = [json.loads(entry["message"])["message"] for entry in entries]
        sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        urls = [(one["request"]["method"], urlsplit(one["request"]["url"])) for one in sent if one["type"] == "Fetch"]
        return [f"{method} {ID.sub('{id}', url.path)}{url.query and '?'}{url.query}" for method, url in urls]


@pytest.fixture(params=[100, 1000])
def number(request: pytest.FixtureRequest, database_url: str) -> int:
    """Store this number of tasks, half of them open, for a user named after the number."""
    with psycopg.connect(database_url) as connection:
        connection.execute(SEED, {"user": str(request.param), "number": request.param})
    return int(request.param)


def test_each_feature_costs_one_request(
    browser: Chrome, address: str, origins: tuple[str, str], tmp_path: Path, number: int
) -> None:
    half = number // 2
    page = Page(browser)

    opened = f"{origins[0]}/todomvc.html?{urlencode({'api': address, 'user': number})}"
    assert page.requests_of(lambda: browser.get(opened)) == ["GET /v1/tasks/counts"]
    assert (len(page.titles()), page.left()) == (number, half)

    assert page.requests_of(lambda: page.enter(".new-todo", "Buy milk")) == ["POST /v1/tasks"]
    assert (page.titles()[:2], page.left()) == (["Buy milk", "Task 1"], half + 1)
    assert page.requests_of(lambda: page.edit_first("Buy bread")) == ["PATCH /v1/tasks/{id}"]
    assert page.titles()[0] == "Buy bread"
    assert page.requests_of(lambda: page.click(".toggle")) == ["PATCH /v1/tasks/{id}"]
    assert page.left() == half
    browser.save_screenshot(str(tmp_path / "todomvc.png"))

    assert page.requests_of(lambda: page.click("[data-show=true]")) == []
    assert (page.titles()[0], len(page.titles())) == ("Buy bread", half + 1)
    assert page.requests_of(lambda: page.click("[data-show=false]")) == []
    assert (page.titles()[0], len(page.titles())) == ("Task 1", half)
    assert page.requests_of(lambda: page.click(".destroy")) == ["DELETE /v1/tasks/{id}"]
    assert (page.titles()[0], page.left()) == ("Task 3", half - 1)
    assert page.requests_of(lambda: page.click("[data-show='']")) == []
    assert len(page.titles()) == number

    assert page.requests_of(lambda: page.click(".clear-completed")) == ["DELETE /v1/tasks?completed=true"]
    assert (len(page.titles()), page.left()) == (half - 1, half - 1)
    assert page.requests_of(lambda: page.click(".toggle-all")) == ["PATCH /v1/tasks?completed=false"]
    assert (len(page.titles()), page.left()) == (half - 1, 0)
    assert page.requests_of(lambda: page.edit_first("Edited after all")) == ["PATCH /v1/tasks/{id}"]
    assert page.requests_of(lambda: browser.get(opened)) == ["GET /v1/tasks/counts"]
    assert (page.titles()[0], len(page.titles()), page.left()) == ("Edited after all", half - 1, 0)
