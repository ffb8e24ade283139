"""Clients that record each request on their tasks, and a checker whether the contract explains what they saw.

A request without an answer may have been carried out once, at any later time, or never: a frozen server can carry it
out long after the client has given up. So the checker keeps every state that the task may be in.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from threading import Event
from time import monotonic
from typing import Any, Literal, NamedTuple

import httpx2

from tests.planted import PLANTED

OWNERS = ("ann", "Ann", "ann%")
CLIENT_TIMEOUT_SECONDS = 10
FEWEST_TASKS = 4
MOST_UNKNOWN = 5  # of one task: each doubles the checker's work
PROBLEM = "urn:taskward:problem:"
ROUTES = {
    "create": ("POST", ""),
    "read": ("GET", "/{}"),
    "patch": ("PATCH", "/{}"),
    "toggle": ("POST", "/{}/toggle"),
    "delete": ("DELETE", "/{}"),
    "list": ("GET", "?limit=50"),
}
Kind = Literal["create", "read", "patch", "toggle", "delete"]


class State(NamedTuple):
    """A task as it is stored, or as an answer shows it."""

    title: str
    completed: bool
    version: str | None = None
    """Its ETag, or None if no client has seen it yet."""


class Answer(NamedTuple):
    status: int
    shown: State | None = None


class Step(NamedTuple):
    """One request that was not refused."""

    kind: Kind
    title: str = ""
    expected: str | None = None
    answer: Answer | None = None
    """None if it is unknown whether the request was carried out."""


class Row(NamedTuple):
    owner: str
    id: str
    title: str
    completed: bool


@dataclass
class History:
    """The history of one task. Only one client writes to it, one request at a time."""

    owner: str
    name: str
    key: str | None = None
    id: str | None = None
    etags: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    titles: int = 0

    def title(self, number: int) -> str:
        return f"{PLANTED}|{self.owner}|{self.name}|{number}"

    def new_title(self) -> str:
        self.titles += 1
        return self.title(self.titles)


def owner_in(title: str) -> str:
    return title.split("|")[1]


def name_in(title: str) -> str:
    return title.split("|")[2]


class Client:
    """One user's requests, one at a time, on tasks that only this client changes."""

    def __init__(self, number: int, address: httpx2.URL, known: list[tuple[str, str]], seed: str) -> None:
        self.owner = OWNERS[number % len(OWNERS)]
        self.histories: list[History] = []
        self.outcomes: Counter[str] = Counter()
        self.slowest = 0.0
        self._number = number
        self._known = known  # the owners and ids of all clients' tasks
        self._random = Random(f"{seed} {number}")  # noqa: S311 - not for secrets
        self._http = httpx2.Client(base_url=address, headers={"X-User-Id": self.owner}, timeout=CLIENT_TIMEOUT_SECONDS)

    def work(self, stopped: Event) -> None:
        with self._http:
            while not stopped.is_set():
                if self._act() != "done":
                    stopped.wait(0.05)  # as a client should: refusals are so fast that nothing else would happen

    def _act(self) -> str:
        open_histories = [history for history in self.histories if self._is_open(history)]
        if len(open_histories) < FEWEST_TASKS or self._random.random() < 0.1:
            return self._begin()
        act = self._random.choices((self._list, self._trespass, None), (1, 1, 8))[0]
        return act() if act else self._continue(self._random.choice(open_histories))

    @staticmethod
    def _is_open(history: History) -> bool:
        if sum(step.answer is None for step in history.steps) >= MOST_UNKNOWN:
            return False
        is_over = history.id is None or history.steps[-1].answer == Answer(404)
        return history.key is not None or not is_over

    def _begin(self) -> str:
        name = f"{self._number}.{len(self.histories)}"
        # Every owner's n-th client uses the same key: the keys of different users must not collide.
        key = f"{self._number // len(OWNERS)}.{len(self.histories)}" if self._random.random() < 0.5 else None
        self.histories.append(History(self.owner, name, key))
        return self._request(self.histories[-1], "create")

    def _continue(self, history: History) -> str:
        if history.id is None or (history.key and self._random.random() < 0.1):
            return self._request(history, "create")
        kinds: tuple[Kind, ...] = ("patch", "toggle", "read", "delete")
        return self._request(history, self._random.choices(kinds, (5, 5, 3, 1))[0])

    def _request(self, history: History, kind: Kind) -> str:
        title = history.new_title() if kind == "patch" else history.title(0) if kind == "create" else ""
        headers, expected = {"Idempotency-Key": history.key} if kind == "create" and history.key else {}, None
        if kind in {"patch", "toggle", "delete"} and history.etags and self._random.random() < 0.4:
            expected = self._random.choice([*history.etags[-2:], history.etags[-1]])
            headers = {"If-Match": expected}
        outcome, answer = self._send(kind, history.id or "", title, headers)
        if answer is not None:
            history.steps.append(Step(kind, title, expected, self._learn(history, answer)))
        elif outcome == "unknown" and kind != "read":
            history.steps.append(Step(kind, title, expected))
        return outcome

    def _learn(self, history: History, answer: httpx2.Response) -> Answer:
        if answer.status_code not in {200, 201}:
            return Answer(answer.status_code)
        task = answer.json()
        assert history.id in {None, task["id"]}
        if history.id is None:
            history.id = task["id"]
            self._known.append((self.owner, task["id"]))
        history.etags.append(answer.headers["etag"])
        return Answer(answer.status_code, State(task["title"], task["completed"], history.etags[-1]))

    def _list(self) -> str:
        outcome, answer = self._send("list")
        mine = {history.name: history for history in self.histories}
        for task in answer.json()["items"] if answer else ():
            if history := mine.get(name_in(task["title"])):
                history.steps.append(Step("read", answer=Answer(200, State(task["title"], task["completed"]))))
        return outcome

    def _trespass(self) -> str:
        foreign = [task for owner, task in self._known[-50:] if owner != self.owner]
        if not foreign:
            return self._list()
        kind = self._random.choice(("read", "patch", "toggle", "delete"))
        outcome, answer = self._send(kind, self._random.choice(foreign), f"{PLANTED}|{self.owner}|trespass|0")
        assert answer is None or answer.status_code == 404, f"{self.owner} could {kind} a task of somebody else"
        return outcome

    def _send(
        self, kind: str, task: str = "", title: str = "", headers: dict[str, str] | None = None
    ) -> tuple[str, httpx2.Response | None]:
        """Return "done" with the answer, or "refused" or "unknown" without one."""
        method, path = ROUTES[kind]
        begun, body = monotonic(), {"title": title, "description": title} if kind in {"create", "patch"} else None
        try:
            answer = self._http.request(method, "/v1/tasks" + path.format(task), json=body, headers=headers)
        except httpx2.TimeoutException:
            raise  # a hang
        except httpx2.TransportError:
            return self._count("unknown"), None
        finally:
            self.slowest = max(self.slowest, monotonic() - begun)
        if answer.status_code == 503:
            types = {PROBLEM + "overloaded": "refused", PROBLEM + "database-unavailable": "unknown"}
            return self._count(types[answer.json()["type"]]), None
        assert answer.status_code in {200, 201, 204, 404, 412}, (kind, answer.status_code, answer.text)
        if answer.is_success and answer.content:
            self._require_own_tasks(answer.json())
        return self._count("done"), answer

    def _require_own_tasks(self, body: dict[str, Any]) -> None:
        for task in body.get("items", [body]):
            assert owner_in(task["title"]) == self.owner, f"{self.owner} is shown a task of somebody else"

    def _count(self, outcome: str) -> str:
        self.outcomes[outcome] += 1
        return outcome


def violations(histories: Iterable[History], rows: Iterable[Row]) -> Iterator[str]:
    """Yield what the contract does not explain in these histories and in the rows stored at the end."""
    left: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        left[name_in(row.title)].append(row)
    for history in histories:
        there = left.pop(history.name, [])
        if len(there) > 1:
            yield f"made more than once: {there} by {history}"
        for row in there:
            if row.owner != history.owner or owner_in(row.title) != history.owner or history.id not in {None, row.id}:
                yield f"not the row that it was: {row} of {history}"
        stored = State(there[0].title, there[0].completed) if there else None
        if fault := unexplained(history.steps, stored):
            yield f"{fault}; stored is {stored} of {history}"
    yield from (f"made by nobody: {rows}" for rows in left.values())


def unexplained(steps: list[Step], stored: State | None) -> str | None:
    """Return an answer or final state that no order of events explains, or None."""
    cases: set[_Case] = {(None, frozenset())}
    for number, step in enumerate(steps):
        if step.answer is None:
            cases = {(state, pending | {number}) for state, pending in cases}
        else:
            known = _with_late_requests(cases, steps)
            cases = {(after, pending) for state, pending in known for after in _as_answered(step, step.answer, state)}
        if not cases:
            return f"step {number} cannot be: {step}"
    ends = {state and state[:2] for state, _ in _with_late_requests(cases, steps)}
    return None if (stored and stored[:2]) in ends else f"the end is none of {ends}"


_Case = tuple[State | None, frozenset[int]]
"""A state that the task may be in, and the steps without an answer that may yet be carried out."""


def _with_late_requests(cases: set[_Case], steps: list[Step]) -> set[_Case]:
    found, new = set(cases), list(cases)
    while new:
        state, pending = new.pop()
        nexts = {(_performed(steps[number], state)[1], pending - {number}) for number in pending}
        new += nexts - found
        found |= nexts
    return found


def _performed(step: Step, state: State | None) -> tuple[int, State | None]:
    """Return what the contract says of a request on a task in this state: the status and the new state."""
    if step.kind == "create":
        return (201, State(step.title, completed=False)) if state is None else (200, state)
    if state is None:
        return 404, None
    if step.expected not in {None, state.version}:
        return 412, state
    if step.kind == "delete":
        return 204, None
    changed = {"patch": State(step.title, state.completed), "toggle": State(state.title, not state.completed)}
    return 200, changed.get(step.kind, state)


def _as_answered(step: Step, answer: Answer, state: State | None) -> Iterator[State | None]:
    """Yield the state after the step, if this answer is possible."""
    status, after = _performed(step, state)
    if status != answer.status:
        return
    shown = answer.shown
    if shown is None or after is None:
        yield after
        return
    is_stale = state is not None and after != state and shown.version == state.version
    is_other = None not in {shown.version, after.version} and shown.version != after.version
    if shown[:2] == after[:2] and not is_stale and not is_other:
        yield after._replace(version=shown.version or after.version)
