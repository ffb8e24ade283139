"""That a server does what is measured: the five operations, and nothing of another user's."""

import httpx2

from tests.bench.operations import OPERATIONS
from tests.bench.stage import Running


def check(running: Running) -> None:
    api = running.server.api
    created, patched = OPERATIONS["create"].body or {}, OPERATIONS["patch"].body or {}
    with httpx2.Client(base_url=f"http://127.0.0.1:{running.port}", headers={"X-User-Id": "alice"}) as alice:

        def answer(method: str, path: str, status: int, body: object = None, user: str = "alice") -> httpx2.Response:
            given = alice.request(method, path, json=body, headers={"X-User-Id": user})
            assert given.status_code == status, f"{running.server.name}: {method} {path} gave {given.status_code}"
            return given

        task = answer("POST", api.tasks, 201, created).json()
        assert created.items() <= task.items()
        path = api.task.format(task["id"])
        assert answer("GET", path, 200).json() == task
        assert [item["id"] for item in _items(answer("GET", api.tasks, 200).json())] == [task["id"]]
        assert len(_items(answer("GET", api.tasks, 200, user="user-1").json())) == 50
        changed = answer("PATCH", path, 200, patched).json()
        of_now = {name: changed[name] for name in ("updated_at", "etag") if name in changed}
        assert {**task, **patched, **of_now} == changed
        assert changed["updated_at"] > task["updated_at"]
        for method, body in (("GET", None), ("PATCH", patched), ("DELETE", None)):
            answer(method, path, 404, body, user="bob")
        answer("DELETE", path, 204)
        answer("GET", path, 404)


def _items(page: object) -> list[dict[str, object]]:
    """Frameworks differ in how they wrap a page."""
    if isinstance(page, dict):
        page = page.get("items", page.get("results"))
    assert isinstance(page, list)
    return page
