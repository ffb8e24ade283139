"""The mutants that may survive, because they do what the code does, or nothing that could be told from outside."""

_CONNECTIONS = "adapters/postgres/connections/"
_NAME = "it is used by this name alone, on both sides"
_TIME = "how long something takes is no fact that a test could hold it to without measuring time"
_CACHE = "a cache changes the time that something takes, and no more"
_NOT_READ = "what it is set to is never read: something else is set before"
_UNLIKE = "any text serves that matches none of the patterns"

EXPLAINED: dict[tuple[str, str, str], str] = {
    (
        _CONNECTIONS + "engine.py",
        "def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:",
        "def wait(self, gen: PQGen[T], interval: float = 1.1, timeout: float | None = None) -> T:",
    ): _TIME,
    (
        _CONNECTIONS + "executor.py",
        "self._running: list[asyncio.Task[None]] = []",
        "pass",
    ): "`start` sets it, and comes before `close`",
    (
        _CONNECTIONS + "guard.py",
        "DISTINCT_STATEMENTS: Final = 256",
        "DISTINCT_STATEMENTS: Final = 257",
    ): _CACHE,
    (
        _CONNECTIONS + "guard.py",
        'return re.fullmatch(_OWNER, values.get("user_id", "")) is not None and not _widens(row["rest"])',
        'return re.fullmatch(_OWNER, values.get("user_id", \'another text\')) is not None and not _widens(row["rest"])',
    ): _UNLIKE,
    (
        _CONNECTIONS + "guard.py",
        'if rows is None or _GIVES_AWAY.search(rows["changes"] or ""):',
        "if rows is None or _GIVES_AWAY.search(rows[\"changes\"] or 'another text'):",
    ): _UNLIKE,
    (
        _CONNECTIONS + "guard.py",
        'return not any(_widens(part or "") for part in rows.group("columns", "changes", "rest"))',
        'return not any(_widens(part or \'another text\') for part in rows.group("columns", "changes", "rest"))',
    ): _UNLIKE,
    (
        _CONNECTIONS + "prepared.py",
        '_FORBIDDEN: Final = "taskward_prepares_nothing"',
        "_FORBIDDEN: Final = 'another text'",
    ): _NAME,
    (
        _CONNECTIONS + "sockets.py",
        "while poll.poll(0):",
        "while poll.poll(1):",
    ): _TIME,
    (
        _CONNECTIONS + "worker.py",
        "self._must_reconnect: bool = False",
        "pass",
    ): _NOT_READ,
    (
        _CONNECTIONS + "worker.py",
        "self._must_reconnect: bool = False",
        "self._must_reconnect: bool = True",
    ): _NOT_READ,
}
"""By file, the line as it stands, and the line as the mutant has it: why no test can tell."""
