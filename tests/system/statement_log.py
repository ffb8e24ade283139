"""Reads from a PostgreSQL server's log which statements it received, and with which values."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

LOG = "sent"
_SETTINGS = {
    "logging_collector": "on",
    "log_destination": "jsonlog",
    "log_directory": LOG,
    "log_rotation_size": "0",
    "log_statement": "all",
}
_SENT = re.compile(r"(?:execute [^:]+|statement): (.*)", re.DOTALL)
_VALUE = re.compile(r"\$(\d+) = (NULL|'(?:[^']|'')*')")
_OWNER = re.compile(r"\btasks\.user_id = \$(\d+)(?!\d)")
_NEW_ROW = re.compile(r"INSERT INTO tasks \(([^)]*)\) VALUES \(([^)]*)\)")


class LoggedStatement(NamedTuple):
    sql: str
    literals: dict[int, str]
    """As SQL literals, by the parameter's number."""

    @property
    def is_on_tasks(self) -> bool:
        """Whether it reads or writes tasks. Readiness mentions their table, but asks only the catalogues."""
        return "tasks" in self.sql and "alembic_version" not in self.sql

    def owners(self) -> list[str]:
        """Return the values to which the rows' owner is bound."""
        places = [int(place) for place in _OWNER.findall(self.sql)]
        for names, values in _NEW_ROW.findall(self.sql):
            value = dict(zip(names.split(", "), values.split(", "), strict=True))["user_id"]
            places.append(int(re.sub(r"\$(\d+)(::VARCHAR)?", r"\1", value)))
        return [self.literals[place][1:-1].replace("''", "'") for place in places]


def log_all_statements(url: str) -> None:
    """Log all statements from the server's next start on."""
    with psycopg.connect(url, autocommit=True) as connection:
        for name, value in _SETTINGS.items():
            connection.execute(f"alter system set {name} = '{value}'".encode())


def statements_in(folder: Path) -> list[LoggedStatement]:
    """Return what the service has sent, in order. The server must have stopped, since it writes its log late."""
    files = sorted((folder / LOG).glob("*.json"))
    records = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [
        LoggedStatement(sent[1], {int(place): literal for place, literal in _VALUE.findall(record.get("detail", ""))})
        for record in records
        if record.get("application_name") == "taskward" and (sent := _SENT.fullmatch(record["message"]))
    ]


def plan_of(connection: psycopg.Connection, statement: LoggedStatement) -> dict[str, Any]:
    """Run the statement, roll it back, and return the plan that the server followed, with row counts."""
    arguments = ", ".join(statement.literals[place] for place in sorted(statement.literals))
    with connection.transaction(force_rollback=True):
        connection.execute(f"prepare it as {statement.sql}".encode())
        try:
            explain = f"explain (analyze, buffers off, timing off, summary off, format json) execute it({arguments})"
            row = connection.execute(explain.encode()).fetchone()
        finally:
            connection.execute("deallocate it")
    assert row is not None
    plan: dict[str, Any] = row[0][0]["Plan"]
    return plan
