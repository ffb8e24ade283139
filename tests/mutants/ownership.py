"""Mutants of ownership: in each the owner is forgotten, weakened, mixed up or given away, in a way that could happen.

Each names the text that it replaces, which must stand in its file exactly once: the list cannot outlive the code.
"""

from collections.abc import Iterator

from tests.mutants.mutant import ROOT, Mutant

KIND = "ownership"

Change = tuple[str, str, str]
"""What stands there, what the mutant has in its place, and what that would mean."""

OWNERSHIP: dict[str, list[Change]] = {
    "adapters/postgres/owned.py": [
        (
            "select(*RETURNED).where(OWNED, *conditions)",
            "select(*RETURNED).where(*conditions)",
            "reads see everybody's tasks",
        ),
        (
            "update(_TASKS).where(OWNED, *conditions)",
            "update(_TASKS).where(*conditions)",
            "updates change anybody's task",
        ),
        (
            "delete(_TASKS).where(OWNED, *conditions)",
            "delete(_TASKS).where(*conditions)",
            "deletions hit anybody's task",
        ),
        ('user_id=bindparam("owner"), **fields', 'user_id=bindparam("title"), **fields', "a task is made for another"),
        ('user_id=bindparam("owner"), **fields', "**fields", "a task is made for nobody"),
        (
            "statement.on_conflict_do_nothing()",
            'statement.on_conflict_do_update(index_elements=["id"], set_={"user_id": bindparam("owner")})',
            "a creation takes over the task that is there",
        ),
        ("values(**changed, ", 'values(**changed, user_id=bindparam("owner"), ', "an update writes the owner"),
        ("COLUMN.user_id == bindparam", "COLUMN.user_id != bindparam", "one sees all but one's own"),
        ("COLUMN.user_id == bindparam", "COLUMN.user_id >= bindparam", "one sees those that sort later, too"),
        ("COLUMN.user_id == bindparam", "COLUMN.user_id == COLUMN.user_id or bindparam", "the owner is not compared"),
        (
            'COLUMN.user_id == bindparam("owner", type_=COLUMN.user_id.type)',
            'COLUMN.user_id.ilike(bindparam("owner", type_=COLUMN.user_id.type))',
            "case and wildcards do not matter",
        ),
        (
            'COLUMN.user_id == bindparam("owner", type_=COLUMN.user_id.type)',
            'COLUMN.user_id.startswith(bindparam("owner", type_=COLUMN.user_id.type))',
            "one sees those whose id begins with one's own",
        ),
        (
            'COLUMN.user_id == bindparam("owner", type_=COLUMN.user_id.type)',
            '(COLUMN.user_id == bindparam("owner", type_=COLUMN.user_id.type)) | (COLUMN.user_id == "public")',
            "some tasks are everybody's",
        ),
        (
            "RETURNED: Final = (\n    COLUMN.user_id,",
            'RETURNED: Final = (\n    bindparam("owner", type_=COLUMN.user_id.type).label("user_id"),',
            "what is returned is the owner asked for, not the row's",
        ),
    ],
    "adapters/postgres/connections/guard.py": [
        ('"tasks" not in sql.lower()', '"tasks" not in sql', "TASKS passes"),
        ("return _HARMLESS.fullmatch(sql) is not None", "return True", "a name in disguise passes"),
        ("_HARMLESS.fullmatch(sql)", "_HARMLESS.match(sql)", "a harmless beginning passes"),
        (r"""(?:[\w\s.,*=]|""", r"""(?:[\w\s.,*='\"&\\]|""", "quotes and escapes pass"),
        (r"""\(\d*\))*", re.ASCII)""", r"""\(\d*\))*")""", "a letter that lower() does not know passes"),
        (r"|\(\d*\))*", r"|[()])*", "code in an argument passes"),
        (
            '{"greatest", "now", "any", "and"}',
            '{"greatest", "now", "any", "and", "query_to_xml"}',
            "code in a list passes",
        ),
        (" or not _CALLED.issuperset(_CALL.findall(part.lower()))", "", "any function passes"),
        ("_ROW.fullmatch(sql)", "_ROW.match(sql)", "a second row passes"),
        ("_ROWS.fullmatch(sql)", "_ROWS.match(sql)", "a second condition passes"),
        ('re.fullmatch(_OWNER, values.get("user_id", "")) is not None', '"user_id" in values', "another's row is made"),
        (' and not _widens(row["rest"])', "", "an insertion returns what it finds elsewhere"),
        (' or _GIVES_AWAY.search(rows["changes"] or "")', "", "an update gives the task away"),
        ('"user_id", re.IGNORECASE', '"user_id"', "USER_ID is given away"),
        ('rows.group("columns", "changes", "rest")', 'rows.group("changes", "rest")', "a query in the list passes"),
        ('rows.group("columns", "changes", "rest")', 'rows.group("columns", "rest")', "a query in a change passes"),
        ('rows.group("columns", "changes", "rest")', 'rows.group("columns", "changes")', "OR passes"),
        (r"\b(?:from|table|or)\b", r"\b(?:table|or)\b", "a second table passes"),
        (r"\b(?:from|table|or)\b", r"\b(?:from|or)\b", "TABLE tasks passes"),
        (r"\b(?:from|table|or)\b", r"\b(?:from|table)\b", "OR passes"),
        ("re.ASCII | re.IGNORECASE", "re.ASCII", "or passes"),
        (r"%\(owner\)s(?:::VARCHAR)?", r"%\(\w+\)s(?:::VARCHAR)?", "any value stands for the owner"),
        (r"WHERE tasks\.user_id = {owner}", r"WHERE tasks\.\w+ = {owner}", "any column stands for the owner's"),
        (r"WHERE tasks\.user_id = {owner}", r"WHERE {free}tasks\.user_id = {owner}", "conditions come before it"),
        ("isinstance(query, str) and keeps", "not isinstance(query, str) or keeps", "bytes pass"),
        ("executemany = stream = copy = _refuse_all", "executemany = stream = _refuse_all", "COPY passes"),
        ("executemany = stream = copy = _refuse_all", "executemany = copy = _refuse_all", "a stream passes"),
        ("executemany = stream = copy = _refuse_all", "stream = copy = _refuse_all", "many at once pass"),
        ("connection.cursor_factory = _GuardedCursor", "pass", "nothing is guarded"),
        ("connection.server_cursor_factory = _NoServerCursor", "pass", "a cursor of the server's passes"),
    ],
    "adapters/postgres/connections/engine.py": [
        ("        guard(connection)\n", "", "no connection is guarded"),
    ],
    "adapters/postgres/statements.py": [
        (
            "GET: Final = select_owned(_THIS)",
            'GET: Final = __import__("sqlalchemy").select(*select_owned().selected_columns).where(_THIS)',
            "a statement is begun past the root",
        ),
    ],
    "adapters/postgres/gateway.py": [
        ("if row[0] != owner.value:", "if False:", "a row of another user passes"),
        ("if row[0] != owner.value:", "if row[0].lower() != owner.value.lower():", "one that differs by case passes"),
        ("if row[0] != owner.value:", "if not row[0].startswith(owner.value):", "one that begins alike passes"),
        ("if row[0] != owner.value:", "if row[0] > owner.value:", "one that sorts before passes"),
        (
            "[_task_of(owner, row) for row in rows]",
            "[_task_of(owner if place == 0 else UserId(row[0]), row) for place, row in enumerate(rows)]",
            "only the first row of a page is compared",
        ),
        (
            "[_task_of(owner, row) for row in rows]",
            "[_task_of(owner, row) for row in rows if row[0] == owner.value]",
            "a crossed result is passed over in silence",
        ),
        ('raise OwnershipViolation("a statement returned a row of another user")', "pass", "nothing is raised"),
        ("            self._database.distrust()\n", "", "a connection that has crossed answers serves the next"),
        (
            'raise OwnershipViolation("a statement returned a row of another user")',
            'raise StorageError("a statement returned a row of another user")',
            "it is taken for a failure of the database",
        ),
        (
            'raise OwnershipViolation("a statement returned a row of another user")',
            'raise OwnershipViolation(f"a statement returned a row of {row[0]}")',
            "the log names the other user",
        ),
        ("(StorageError, OwnershipViolation) as", "(StorageError,) as", "the log does not say what it was"),
        ("return Task(task_id, owner,", "return Task(task_id, UserId(row[0].lower()),", "the owner's id is changed"),
        ('{"owner": owner.value, **values}', '{"owner": owner.value.lower(), **values}', "alice is Alice"),
        ('{"owner": owner.value, **values}', '{"owner": "alice", **values}', "everybody is alice"),
        ("user_id=owner.value,", 'user_id="somebody",', "the log does not say on whose behalf"),
    ],
    "adapters/postgres/repository.py": [
        ("task_id = key.task_id(owner)", 'task_id = key.task_id(UserId("service"))', "all users share their keys"),
        (
            "await self.get(owner, task_id)  # is it gone, or changed?",
            "pass",
            "a condition on another user's task says 412, not 404",
        ),
        (
            "await self.get(owner, task_id)  # is it gone, or changed?",
            'await self._one("get", statements.COLUMN.id == task_id, owner, task_id, {})',
            "the second question is asked without the owner",
        ),
        ("raise TaskChanged", "raise TaskNotFound", "a change of one's own task is taken for its absence"),
    ],
    "adapters/postgres/connections/worker.py": [
        (
            "                self._interruption = None\n                self._disconnect()",
            "                self._interruption = None",
            "a connection with a cancel on its way serves the next",
        ),
        (
            "self._disconnect()\n            if failures.is_crossed(error):",
            "if failures.is_crossed(error):",
            "a connection whose answer was not read serves the next",
        ),
    ],
    "adapters/postgres/connections/executor.py": [
        (
            "        forbid_prepared_statements(self._engine)\n",
            "",
            "a pooler that has crossed statements may do so again",
        ),
        (
            "            worker.leave_connection()\n",
            "            pass\n",
            "a connection that has crossed answers is trusted with the next",
        ),
    ],
    "adapters/postgres/connections/prepared.py": [
        (
            "return row == (connection.info.backend_pid,) or _are_tracked(connection)",
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
        ('        _require_storable("user_id", self.value)\n', "", "an id that no database can keep passes"),
        (
            '        _require_storable("user_id", self.value)\n',
            '        object.__setattr__(self, "value", self.value.casefold())\n',
            "alice is Alice",
        ),
        (
            '        _require_storable("user_id", self.value)\n',
            '        object.__setattr__(self, "value", self.value.strip())\n',
            "white space around an id is cut off, and it is somebody",
        ),
        (
            '        _require_storable("user_id", self.value)\n',
            '        object.__setattr__(self, "value", self.value[:USER_ID_MAX])\n',
            "two long ids that begin alike are one",
        ),
        (
            '        _require_storable("user_id", self.value)\n',
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
        ('b"private, no-cache"', 'b"no-cache"', "a shared cache keeps a user's tasks"),
        ('b"private, no-cache"', 'b"private"', "a browser's cache answers the next user"),
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
    "entrypoints/http/tasks.py": [
        (
            "await tasks.list(user, ",
            'await tasks.list(type(user)("alice"), ',
            "everybody lists alice's tasks",
        ),
        ("    task.require(expected)\n", "", "a read ignores its condition"),
    ],
    "entrypoints/http/cursors.py": [
        ("if encode(position) != cursor:", "if False:", "a cursor that was tampered with passes"),
    ],
    "entrypoints/http/cors.py": [
        ("if origin not in self._origins:", "if not origin:", "a page of any origin may read"),
    ],
    "entrypoints/settings.py": [
        ('host: str = "127.0.0.1"', 'host: str = "0.0.0.0"', "unasked the service can be reached past the proxy"),
        (
            "AfterValidator(_free_header)] = ",
            "AfterValidator(str)] = ",
            "the id comes in a header with another meaning",
        ),
    ],
    "entrypoints/container.py": [
        (
            "_identity, settings.provided.user_id_header",
            '_identity, "X-User-Id"',
            "the wrong header is believed",
        ),
    ],
}


def mutants() -> Iterator[Mutant]:
    for file, changes in OWNERSHIP.items():
        yield from mutants_of(file, changes)


def mutants_of(file: str, changes: list[Change]) -> Iterator[Mutant]:
    """Raises `ValueError` where a text does not stand in the file exactly once."""
    source = (ROOT / file).read_text()
    for old, new, why in changes:
        if source.count(old) != 1:
            raise ValueError(f"{file} has {source.count(old)} times: {old}")
        first = source[: source.index(old)].count("\n") + 1
        yield Mutant(KIND, file, source, source.replace(old, new), range(first, first + old.count("\n") + 1), why)
