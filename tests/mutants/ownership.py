"""Mutants of ownership: each forgets, weakens, mixes up or gives away the owner, in a way that could happen.

The text that each replaces must be in its file exactly once, so the list cannot outlive the code.
"""

from collections.abc import Iterator

from tests.mutants.mutant import ROOT, Mutant

KIND = "ownership"

Change = tuple[str, str, str]
"""The original text, the mutated text, and what the mutation would mean."""

OWNERSHIP: dict[str, list[Change]] = {
    "adapters/postgres/statements.py": [
        (
            "GET: Final = compiled(select(*_COLUMNS).where(_OWNED, _THIS_TASK))",
            "GET: Final = compiled(select(*_COLUMNS).where(_THIS_TASK))",
            "a read sees anybody's task",
        ),
        ("conditions = [_OWNED, *([_IN_STATE]", "conditions = [*([_IN_STATE]", "a listing shows everybody's tasks"),
        ("{False: (_OWNED, _THIS_TASK), True:", "{False: (_THIS_TASK,), True:", "a change hits anybody's task"),
        (
            "True: (_OWNED, _THIS_TASK, _EXPECTED)}",
            "True: (_THIS_TASK, _EXPECTED)}",
            "a conditional change hits anybody's task",
        ),
        (
            "    .where(_OWNED)\n    .group_by",
            "    .where(_OWNED | _IN_STATE)\n    .group_by",
            "a count is of everybody's tasks",
        ),
        (
            '"to")}, _OWNED, _IN_STATE)',
            '"to")}, _IN_STATE)',
            "a change of all is of everybody's",
        ),
        (
            "delete(TaskRow).where(_OWNED, _IN_STATE)",
            "delete(TaskRow).where(_IN_STATE)",
            "a deletion of all is of everybody's",
        ),
        ("    if not _FORMS.fullmatch(text):", "    if not _FORMS.match(text):", "a statement that begins well passes"),
        ("    if not _FORMS.fullmatch(text):", "    if False:", "any statement passes"),
        (
            r'rf" WHERE tasks\.user_id = {_OWNER_PARAMETER}(?: (?:AND|GROUP|ORDER)\b{_WORDS})?"',
            r'rf" WHERE tasks\.\w+ = {_OWNER_PARAMETER}(?: (?:AND|GROUP|ORDER)\b{_WORDS})?"',
            "any column stands for the owner's",
        ),
        (
            r'_OWNER_PARAMETER: Final = r"%\(owner\)s::VARCHAR"',
            r'_OWNER_PARAMETER: Final = r"%\(\w+\)s::VARCHAR"',
            "any value stands for the owner",
        ),
        ("(?:AND|ANY|ASC|", "(?:AND|OR|ANY|ASC|", "OR passes"),
        ("(?:AND|ANY|ASC|", "(?:AND|SELECT|FROM|ANY|ASC|", "a second query passes"),
        (
            "_OWNED: Final = col(TaskRow.user_id) == _OWNER",
            "_OWNED: Final = col(TaskRow.user_id) != _OWNER",
            "one sees all but one's own",
        ),
        (
            "_OWNED: Final = col(TaskRow.user_id) == _OWNER",
            "_OWNED: Final = col(TaskRow.user_id) >= _OWNER",
            "one sees those that sort later, too",
        ),
        (
            "_OWNED: Final = col(TaskRow.user_id) == _OWNER",
            "_OWNED: Final = col(TaskRow.user_id).ilike(_OWNER)",
            "case and wildcards do not matter",
        ),
        (
            "_OWNED: Final = col(TaskRow.user_id) == _OWNER",
            "_OWNED: Final = col(TaskRow.user_id).startswith(_OWNER)",
            "one sees those whose id begins with one's own",
        ),
        (
            "_OWNED: Final = col(TaskRow.user_id) == _OWNER",
            '_OWNED: Final = (col(TaskRow.user_id) == _OWNER) | (col(TaskRow.user_id) == "public")',
            "some tasks are everybody's",
        ),
        ("user_id=_OWNER, ", 'user_id=bindparam("title"), ', "a task is made for another"),
        (
            "_NEW.on_conflict_do_nothing()",
            '_NEW.on_conflict_do_update(index_elements=["id"], set_={"user_id": _OWNER})',
            "a creation takes over the task that is there",
        ),
        (
            "values(**values, updated_at=_NEXT_VERSION)",
            "values(**values, user_id=_OWNER, updated_at=_NEXT_VERSION)",
            "an update writes the owner",
        ),
        (
            "_COLUMNS: Final = tuple(col(getattr(TaskRow, name)) for name in COLUMN_NAMES)",
            '_COLUMNS: Final = (_OWNER.label("user_id"), *(col(getattr(TaskRow, name)) for name in COLUMN_NAMES[1:]))',
            "what is returned is the owner asked for, not the row's",
        ),
        (".where(owner == _OWNER).group_by(owner)", ".group_by(owner)", "the count of changed rows is not bound"),
        ("    compiled(statement)\n", "", "a statement that counts its rows is not checked"),
        (
            "(?:{'|'.join(FIELDS)})=(?:",
            r"\w+=(?:",
            "an update that gives the task away passes",
        ),
        (
            r"VALUES \({_VALUE}, {_OWNER_PARAMETER}(?:, ",
            r"VALUES \({_VALUE}, {_VALUE}(?:, ",
            "a row that is made for another passes",
        ),
        (
            r'rf"SELECT tasks\.user_id,{_WORDS}(?:',
            r'rf"SELECT {_WORDS}(?:',
            "a read that does not return the owner passes",
        ),
        (
            r'FROM tasks"  # noqa: S608 - a pattern',
            r'FROM \w+"  # noqa: S608 - a pattern',
            "a read of another table passes",
        ),
        (
            r'{_OWNER_PARAMETER}(?: AND\b{_WORDS})? RETURNING tasks\.user_id\b{_WORDS}"',
            r'{_OWNER_PARAMETER}(?: AND\b{_WORDS})? RETURNING {_WORDS}"',
            "a change that does not return the owner passes",
        ),
        (
            r'rf"(?: ON CONFLICT DO NOTHING)? RETURNING',
            r'rf"(?: ON CONFLICT.*)? RETURNING',
            "a creation that takes over what is there passes",
        ),
    ],
    "adapters/postgres/connections/guard.py": [
        ("if not isinstance(query, str) or query not in texts:", "if not isinstance(query, str):", "any text passes"),
        (
            "if not isinstance(query, str) or query not in texts:",
            "if isinstance(query, str) and query not in texts:",
            "bytes pass",
        ),
        (
            "if not isinstance(query, str) or query not in texts:",
            "if not any(str(query).startswith(text) for text in texts):",
            "a text that begins alike passes",
        ),
        (
            "if not isinstance(query, str) or query not in texts:",
            "if str(query).lower() not in {text.lower() for text in texts}:",
            "a text that is alike passes",
        ),
        ("executemany = stream = copy = _refuse_all", "executemany = stream = _refuse_all", "COPY passes"),
        ("executemany = stream = copy = _refuse_all", "executemany = copy = _refuse_all", "a stream passes"),
        ("executemany = stream = copy = _refuse_all", "stream = copy = _refuse_all", "many at once pass"),
        (
            'raise OwnershipViolation("a statement that is not on the list was not sent")',
            "return  # type: ignore",
            "nothing is refused",
        ),
    ],
    "adapters/postgres/connections/connection.py": [
        ("            driver.cursor_factory = self._cursor\n", "", "nothing is guarded"),
        ("            driver.server_cursor_factory = NoServerCursor\n", "", "a cursor of the server's passes"),
        (
            "pgconn.status == ConnStatus.OK and pgconn.transaction_status == TransactionStatus.IDLE",
            "True",
            "a connection whose answer was not read serves the next",
        ),
        (
            "driver.cursor(binary=True)",
            "psycopg.AsyncCursor(driver)",
            "the cursor that serves is not the guarded one",
        ),
    ],
    "adapters/postgres/gateway.py": [
        ("if row[0] != owner.value:", "if False:", "a row of another user passes"),
        ("if row[0] != owner.value:", "if row[0].lower() != owner.value.lower():", "one that differs by case passes"),
        ("if row[0] != owner.value:", "if not row[0].startswith(owner.value):", "one that begins alike passes"),
        ("if row[0] != owner.value:", "if row[0] > owner.value:", "one that sorts before passes"),
        ("for row in rows:", "for row in rows[:1]:", "only the first row of a page is compared"),
        (
            'raise OwnershipViolation("a statement returned a row of another user")',
            "return  # type: ignore",
            "nothing is raised",
        ),
        ("        self._database.distrust()\n", "", "a connection that has crossed answers serves the next"),
        (
            'raise OwnershipViolation("a statement returned a row of another user")',
            'raise StorageError("a statement returned a row of another user")',
            "it is taken for a failure of the database",
        ),
        ("(StorageError, OwnershipViolation) as", "(StorageError,) as", "the log does not say what it was"),
        (
            "return Task(task_id, owner, *fields)",
            "return Task(task_id, UserId(owner.value.lower()), *fields)",
            "the owner's id is changed",
        ),
        ('{"owner": owner.value, "task_id"', '{"owner": owner.value.lower(), "task_id"', "alice is Alice"),
        ('{"owner": owner.value, "task_id"', '{"owner": "alice", "task_id"', "everybody is alice"),
        ("user_id=owner.value,", 'user_id="somebody",', "the log does not say on whose behalf"),
        (
            "                    self._refuse_foreign_row()\n",
            "                    rows = [row for row in rows if row[0] == owner.value]\n",
            "a crossed result is passed over in silence",
        ),
    ],
    "adapters/postgres/repository.py": [
        ("key.task_id(owner), self", 'key.task_id(UserId("service")), self', "all users share their keys"),
        (
            'await self._run_one("get", statements.GET, owner, task_id, {}, until=until)  # is it gone, or changed?',
            "pass",
            "a condition on another user's task says 412, not 404",
        ),
        ("raise TaskChanged", "raise TaskNotFound", "a change of one's own task is taken for its absence"),
        (
            '"count", statements.COUNT, owner,',
            '"count", statements.COUNT, UserId("alice"),',
            "everybody counts alice's tasks",
        ),
        (
            '"list", statement, owner, None',
            '"list", statement, UserId("alice"), None',
            "everybody lists alice's tasks",
        ),
        (
            '"update_all", statements.UPDATE_ALL, owner,',
            '"update_all", statements.UPDATE_ALL, UserId("alice"),',
            "a change of all is of alice's tasks",
        ),
        (
            '"delete_all", statements.DELETE_ALL, owner,',
            '"delete_all", statements.DELETE_ALL, UserId("alice"),',
            "a deletion of all is of alice's tasks",
        ),
    ],
    "adapters/postgres/connections/executor.py": [
        (
            "reusable=not operation.stopping and connection.is_idle()",
            "reusable=connection.is_idle()",
            "a connection with a cancel on its way serves the next",
        ),
        (
            "        self._pool.stop_preparing()\n\n    async def close",
            "        pass\n\n    async def close",
            "a connection that has crossed answers is trusted with the next",
        ),
    ],
    "adapters/postgres/connections/pool.py": [
        (
            "            self.stop_preparing()\n",
            "            pass\n",
            "a pooler that has crossed statements may do so again",
        ),
        ("        self._epoch += 1\n", "", "a connection that is not trusted serves the next"),
        ("        self._may_prepare = False\n", "", "the next connections prepare again"),
        (
            "        epoch = self._epoch\n        try:",
            "        epoch = self._epoch + 1\n        try:",
            "a connection asked for before the distrust is trusted",
        ),
        (
            "if not reusable or self._connections[connection] != self._epoch:",
            "if not reusable:",
            "a connection that is given back is trusted again",
        ),
        (
            "if self._connections[connection] == self._epoch and connection.is_usable():",
            "if connection.is_usable():",
            "a connection at rest is trusted again",
        ),
    ],
    "adapters/postgres/connections/prepared.py": [
        (
            "return row == (driver.info.backend_pid,) or await _are_tracked(driver)",
            "return True",
            "behind a pooler another client's prepared statement runs in place of ours",
        ),
        (
            "return bool(names) and not untracked",
            "return bool(names)",
            "the same, where the pooler keeps no track",
        ),
    ],
    "adapters/postgres/table.py": [
        (
            "user_id: str = Field(sa_column=Column(String(USER_ID_MAX), nullable=False))",
            "user_id: str = Field(sa_column=Column(String(USER_ID_MAX), nullable=True))",
            "the model knows tasks of nobody",
        ),
        (
            'Index(None, "user_id", "created_at", "id")',
            'Index(None, "created_at", "user_id", "id")',
            "a listing reads everybody's part of the index",
        ),
    ],
    "migrations/versions/0001_tasks.py": [
        (
            'sa.Column("user_id", sa.String(255), nullable=False)',
            'sa.Column("user_id", sa.String(255), nullable=True)',
            "a task may be nobody's",
        ),
        (
            'sa.Column("user_id", sa.String(255), nullable=False)',
            'sa.Column("user_id", sa.CHAR(255), nullable=False)',
            "ids that differ by white space are equal",
        ),
        (
            """        sa.CheckConstraint("user_id <> ''", name=op.f("ck_tasks_user_id_not_empty")),\n""",
            "",
            "a task may be of the empty user",
        ),
        (
            '["user_id", "created_at", "id"]',
            '["created_at", "user_id", "id"]',
            "a listing reads everybody's part of the index",
        ),
    ],
    "docs/operations.md": [
        ("grant update (title, description, completed, updated_at)", "grant update", "the role may give a task away"),
    ],
    "domain/idempotency.py": [
        (r'f"{owner.value}\0{self.value}"', "self.value", "equal keys of two users meet"),
        (r'f"{owner.value}\0{self.value}"', 'f"{owner.value}{self.value}"', "ab + c meets a + bc"),
        (r'f"{owner.value}\0{self.value}"', 'f"{owner.value} {self.value}"', "the separator is part of keys and ids"),
        (r'f"{owner.value}\0{self.value}"', r'f"{owner.value.lower()}\0{self.value}"', "alice meets Alice"),
        (".digest()[:16]", ".digest()[:1] * 16", "keys of many users meet"),
    ],
    "domain/task.py": [
        ('        require_storable("user_id", self.value)\n', "", "an id that no database can keep passes"),
        (
            '        require_storable("user_id", self.value)\n',
            '        object.__setattr__(self, "value", self.value.casefold())\n',
            "alice is Alice",
        ),
        (
            '        require_storable("user_id", self.value)\n',
            '        object.__setattr__(self, "value", self.value.strip())\n',
            "white space around an id is cut off, and it is somebody",
        ),
        (
            '        require_storable("user_id", self.value)\n',
            '        object.__setattr__(self, "value", self.value[:USER_ID_MAX])\n',
            "two long ids that begin alike are one",
        ),
        (
            '        require_storable("user_id", self.value)\n',
            '        object.__setattr__(self, "value", __import__("unicodedata").normalize("NFKC", self.value))\n',
            "ids that look alike are one",
        ),
        ("if not 1 <= len(self.value) <= USER_ID_MAX:", "if not len(self.value) <= USER_ID_MAX:", "nobody is somebody"),
        ("if not 1 <= len(self.value) <= USER_ID_MAX:", "if not 1 <= len(self.value):", "an id without end passes"),
        ("if self.value != self.value.strip():", "if False:", "ids with white space around them pass"),
        ("if _CONTROL.search(self.value):", "if False:", "control characters pass"),
    ],
    "entrypoints/http/identity.py": [
        ("getlist(self.header)", "getlist(self.header)[:1]", "of two ids the first counts"),
        ("getlist(self.header)", "getlist(self.header)[-1:]", "of two ids the last counts"),
        ("getlist(self.header)", 'getlist(self.header) or ["anonymous"]', "without an id one is somebody"),
        (
            "getlist(self.header)",
            'getlist(self.header) or request.headers.getlist(self.header.replace("-", "_"))',
            "a header that a proxy does not strip counts",
        ),
        (
            "getlist(self.header)",
            'getlist(self.header) or request.query_params.getlist("user_id")',
            "a URL says who calls",
        ),
        ("if len(values) != 1:", "if not values:", "a repeated id passes"),
        (
            "values[0].isascii() and values[0].isprintable()",
            "values[0].isprintable()",
            "bytes of unknown encoding pass",
        ),
        ("return UserId(values[0])", "return UserId(values[0].strip())", "white space around an id is cut off"),
        ("return UserId(values[0])", "return UserId(values[0].lower())", "alice is Alice"),
        ("return UserId(values[0])", "return UserId(values[0][:255])", "two long ids that begin alike are one"),
        ("return UserId(values[0])", 'return UserId(values[0].partition(",")[0])', "of a list the first counts"),
        (
            "return UserId(values[0])",
            'return UserId(__import__("urllib.parse").parse.unquote(values[0]))',
            "al%69ce is alice",
        ),
        (
            'raise IdentityRequired(f"The header {self.header} {error.reason}.") from None',
            'return UserId("anonymous")',
            "an invalid id is somebody",
        ),
    ],
    "entrypoints/http/dependencies.py": [
        (
            "return await identity_of(request)(request)",
            'return UserId(request.headers["X-User-Id"])',
            "routes read the header behind the identity's back",
        ),
        ("return await identity_of(request)(request)", 'return UserId("anonymous")', "nobody asks who calls"),
    ],
    "entrypoints/http/route.py": [
        ("isinstance(dependant.dependencies[0].call, IdentityScheme)", "True", "a route may forget to ask who calls"),
        ('b"private, no-cache, ', 'b"no-cache, ', "a shared cache keeps a user's tasks"),
        ('b"private, no-cache, ', 'b"private, ', "a browser's cache answers the next user"),
        (', (b"vary", identity_of(request).header.encode())]', "]", "a cache answers one user with another's"),
    ],
    "entrypoints/http/problems.py": [
        (
            'headers = {"Cache-Control": "no-store", **self.headers}',
            "headers = dict(self.headers)",
            "a cache keeps a 404",
        ),
    ],
    "entrypoints/http/error_handlers.py": [
        ("    TaskNotFound: TASK_NOT_FOUND,", "    TaskNotFound: PRECONDITION_FAILED,", "not there is not 404"),
        (
            "    TaskNotFound: TASK_NOT_FOUND,",
            "    TaskNotFound: TASK_NOT_FOUND,\n"
            '    __import__("domain.errors").errors.OwnershipViolation: TASK_NOT_FOUND,',
            "a crossed result looks like an everyday 404",
        ),
        ("    TaskChanged: PRECONDITION_FAILED,", "    TaskChanged: TASK_NOT_FOUND,", "changed looks like not there"),
    ],
    "entrypoints/http/schemas.py": [
        ('"id": task.id,', '"id": __import__("uuid").uuid5(task.id, task.owner.value),', "the id tells the owner"),
        (
            '"description": task.description,',
            '"description": task.description or task.owner.value,',
            "a body tells the owner",
        ),
    ],
    "entrypoints/http/lists.py": [
        (
            "await tasks.list(user, ",
            'await tasks.list(type(user)("alice"), ',
            "everybody lists alice's tasks",
        ),
    ],
    "entrypoints/http/tasks.py": [
        ("    task.require_version(expected)\n", "", "a read ignores its condition"),
    ],
    "entrypoints/http/cursors.py": [
        ("if encode(position, order) != cursor:", "if False:", "a cursor that was tampered with passes"),
    ],
    "entrypoints/http/cors.py": [
        ('request.get(b"origin") in self._origins', 'b"origin" in request', "a page of any origin may read"),
    ],
    "entrypoints/settings.py": [
        ('host: str = "127.0.0.1"', 'host: str = "0.0.0.0"', "unasked the service can be reached past the proxy"),
    ],
    "entrypoints/setting_types.py": [
        (
            "AfterValidator(_unreserved_header)]",
            "AfterValidator(str)]",
            "the id comes in a header with another meaning",
        ),
    ],
    "entrypoints/container.py": [
        (
            "HeaderIdentity, settings.provided.user_id_header",
            'HeaderIdentity, "X-User-Id"',
            "the wrong header is believed",
        ),
        (
            "(*statements.ALL, FACTS)",
            '(*statements.ALL, FACTS, type(FACTS)("select * from tasks", is_read=True))',
            "a text that binds no owner may be sent",
        ),
    ],
}


def mutants() -> Iterator[Mutant]:
    for file, changes in OWNERSHIP.items():
        yield from mutants_of(file, changes)


def mutants_of(file: str, changes: list[Change]) -> Iterator[Mutant]:
    """Yield the mutants of one file. Raises `ValueError` for a text that is not in the file exactly once."""
    source = (ROOT / file).read_text()
    for old, new, why in changes:
        if source.count(old) != 1:
            raise ValueError(f"{file} has {source.count(old)} times: {old}")
        first = source[: source.index(old)].count("\n") + 1
        yield Mutant(KIND, file, source, source.replace(old, new), range(first, first + old.count("\n") + 1), why)
