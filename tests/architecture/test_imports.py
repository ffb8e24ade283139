"""Imports point inward. The contracts are in pyproject.toml; these tests show that each of them checks something."""

import ast
import copy
import sys
import tomllib
from pathlib import Path
from typing import Any

import grimp
import pytest
from importlinter.configuration import configure
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.layers import LayersContract

ROOT = Path(__file__).parents[2]
LINTER: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS: list[dict[str, Any]] = LINTER["contracts"]
KINDS = {"forbidden": ForbiddenContract, "layers": LayersContract}


def imports_of(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            names.add(str(node.module))
    return names


def files_of(module: str) -> list[Path]:
    place = ROOT / module.replace(".", "/")
    return sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


def test_the_domain_imports_only_the_standard_library() -> None:
    files = files_of("domain")
    assert len(files) >= 3
    imported = {name.split(".")[0] for file in files for name in imports_of(file)}
    assert imported - {"domain"} <= sys.stdlib_module_names


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract["name"])
def test_every_module_in_a_contract_exists(contract: dict[str, Any]) -> None:
    ours = [*contract.get("layers", ()), *contract.get("source_modules", ())]
    assert ours
    for module in ours:
        assert any(file.is_file() and file.stat().st_size > 0 for file in files_of(module)), module


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    configure()
    return grimp.build_graph(*LINTER["root_packages"], include_external_packages=True, cache_dir=None)


def forbidden_imports(contract: dict[str, Any]) -> list[tuple[str, str]]:
    """Return every import that the contract forbids, as pairs: importer, imported."""
    if contract["type"] == "layers":
        return [
            (lower, upper)
            for place, upper in enumerate(contract["layers"])
            for lower in contract["layers"][place + 1 :]
        ]
    return [(source, forbidden) for source in contract["source_modules"] for forbidden in contract["forbidden_modules"]]


def is_kept(contract: dict[str, Any], graph: grimp.ImportGraph) -> bool:
    options = {name: str(value) if value is True else value for name, value in contract.items()}
    session = {name: value for name, value in LINTER.items() if name != "contracts"}
    # The check gets a copy, since it removes ignored imports from the graph.
    return KINDS[contract["type"]](contract["name"], session, options).check(copy.deepcopy(graph), verbose=False).kept


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract["name"])
def test_each_forbidden_import_breaks_its_contract(contract: dict[str, Any], graph: grimp.ImportGraph) -> None:
    assert is_kept(contract, graph)
    for source, forbidden in forbidden_imports(contract):
        assert forbidden in graph.modules or forbidden.split(".")[0] not in LINTER["root_packages"], forbidden
        leaf = max(graph.find_descendants(source), default=source)  # the contract covers submodules, too
        planted = copy.deepcopy(graph)
        planted.add_import(importer=leaf, imported=forbidden)
        assert not is_kept(contract, planted), f"{leaf} may import {forbidden}"


def test_connections_and_schema_are_kept_from_tasks() -> None:
    forbidden = {
        contract["source_modules"][0]: set(contract["forbidden_modules"])
        for contract in CONTRACTS
        if contract["type"] == "forbidden"
    }
    about_tasks = {"adapters.postgres.gateway", "adapters.postgres.repository", "adapters.postgres.statements"}
    assert forbidden["adapters.postgres.schema"] >= about_tasks
    assert forbidden["adapters.postgres.connections"] >= about_tasks | {
        *("adapters.postgres.schema", "adapters.postgres.table", "domain.repository", "domain.task"),
    }


def test_every_package_is_under_contract() -> None:
    packages = {file.parent.name for file in ROOT.glob("*/__init__.py")} - {"tests"}
    (layers,) = [set(contract["layers"]) for contract in CONTRACTS if contract["type"] == "layers"]
    assert layers == packages


def test_only_the_root_and_commands_name_an_adapter() -> None:
    importers = {
        str(file.relative_to(ROOT))
        for module in ("entrypoints", "migrations")
        for file in files_of(module)
        if any(name.split(".")[0] == "adapters" for name in imports_of(file))
    }
    commands = {"entrypoints/cli.py", "entrypoints/database.py"}  # the modules they name are behind no port
    assert importers == {"entrypoints/container.py", "migrations/env.py"} | commands
