"""Imports point inward. The contracts stand in pyproject.toml; here they are shown to check something."""

import ast
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]


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


def test_the_domain_imports_the_standard_library_alone() -> None:
    files = files_of("domain")
    assert len(files) >= 3
    imported = {name.split(".")[0] for file in files for name in imports_of(file)}
    assert imported - {"domain"} <= sys.stdlib_module_names


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract["name"])
def test_no_contract_is_about_modules_that_are_not_there(contract: dict[str, Any]) -> None:
    ours = [*contract.get("layers", ()), *contract.get("source_modules", ())]
    assert ours
    for module in ours:
        assert any(file.is_file() and file.stat().st_size > 0 for file in files_of(module)), module


def test_every_package_of_ours_is_under_contract() -> None:
    packages = {file.parent.name for file in ROOT.glob("*/__init__.py")} - {"tests"}
    (layers,) = [set(contract["layers"]) for contract in CONTRACTS if contract["type"] == "layers"]
    assert layers == packages


def test_the_composition_root_alone_names_an_adapter() -> None:
    namers = {
        str(file.relative_to(ROOT))
        for module in ("entrypoints", "migrations")
        for file in files_of(module)
        if any(name.split(".")[0] == "adapters" for name in imports_of(file))
    }
    embedded = {"entrypoints/cli.py"}  # of `taskward dev`: neither of its modules stands behind a port
    assert namers == {"entrypoints/container.py", "migrations/env.py"} | embedded
