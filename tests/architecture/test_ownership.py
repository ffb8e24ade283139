"""No access to a task without its owner: not through the port, not around it, not by a statement without one."""

import ast
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from adapters.postgres.repository import PostgresTaskRepository
from domain.repository import TaskRepository
from domain.task import UserId
from tests.architecture.test_imports import ROOT, files_of
from tests.executors import executor
from tests.fakes import InMemoryTaskRepository
from tests.operations import METHODS

PRODUCT = ("domain", "adapters", "entrypoints", "migrations")
BUILDERS = {
    *("column", "delete", "except_", "except_all", "exists", "from_dml_column", "insert", "intersect", "intersect_all"),
    *("lateral", "literal_column", "select", "table", "text", "tstring", "union", "union_all", "update"),
    *("DDL", "Delete", "Insert", "Table", "TextClause", "Update"),
}
"""The names that can begin a statement."""


def public_methods(kind: type) -> dict[str, Callable[..., Any]]:
    return {name: member for name, member in inspect.getmembers(kind, callable) if not name.startswith("_")}


PORT = public_methods(TaskRepository)


def test_the_port_is_not_empty() -> None:
    assert set(METHODS) <= PORT.keys()


@pytest.mark.parametrize("name", PORT)
def test_no_port_method_works_without_an_owner(name: str) -> None:
    _, owner, *_ = inspect.signature(PORT[name]).parameters.values()
    assert (owner.name, owner.annotation, owner.default) == ("owner", UserId, owner.empty)
    assert owner.kind is owner.POSITIONAL_OR_KEYWORD
    with pytest.raises(TypeError, match="owner"):
        PORT[name](object())


@pytest.mark.parametrize("adapter", [PostgresTaskRepository, InMemoryTaskRepository])
def test_an_adapter_has_only_the_ports_methods(adapter: type[TaskRepository]) -> None:
    methods = public_methods(adapter)
    assert {name: inspect.signature(method) for name, method in methods.items()} == {
        name: inspect.signature(method) for name, method in PORT.items()
    }
    assert not getattr(adapter, "__abstractmethods__", None)
    assert all(method is not PORT[name] for name, method in methods.items())


def test_the_adapter_has_no_public_attributes() -> None:
    assert all(
        name.startswith("_")
        for name in vars(PostgresTaskRepository(executor("postgresql://nobody@127.0.0.1:1/nowhere")))
    )


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the full names of the imported modules, and of what is imported from them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(
    ("module", "importers"),
    [
        ("adapters.postgres.table", {"adapters/postgres/statements.py", "migrations/env.py"}),
        ("adapters.postgres.statements", {"adapters/postgres/repository.py", "entrypoints/container.py"}),
        ("adapters.postgres.gateway", {"adapters/postgres/repository.py"}),
        (
            "adapters.postgres.schema.revisions.create_migration_engine",
            {"entrypoints/database.py", "migrations/env.py"},
        ),
        (
            "adapters.postgres.schema.revisions.schema_transaction",
            {"adapters/postgres/schema/distribution.py", "migrations/env.py"},
        ),
        ("adapters.postgres.schema.distribution", {"entrypoints/database.py"}),
    ],
)
def test_only_listed_files_import_each_module(module: str, importers: set[str]) -> None:
    files = [file for package in PRODUCT for file in files_of(package)]
    found = {str(file.relative_to(ROOT)) for file in files if module in imported(ast.parse(file.read_text()))}
    assert found == importers


def builders_in(tree: ast.AST) -> Iterator[str]:
    for name in imported(tree):
        package, _, last = name.rpartition(".")
        if package.startswith(("sqlalchemy", "sqlmodel")):
            yield from {last} & BUILDERS
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield from {node.func.attr} & BUILDERS


def test_one_file_builds_every_statement_on_tasks() -> None:
    found = {
        str(file.relative_to(ROOT / "adapters")): builders
        for file in files_of("adapters")
        if (builders := set(builders_in(ast.parse(file.read_text()))))
    }
    assert found.pop("postgres/statements.py")
    assert found == {
        "postgres/schema/distribution.py": {"text"},
        "postgres/schema/revisions.py": {"text"},
        "postgres/table.py": {"text"},
    }
