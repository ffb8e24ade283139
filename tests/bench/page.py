"""Puts what was measured into docs/performance.md, between the marks that are there for it, and draws the picture."""

import json
import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from tests.bench.picture import draw
from tests.bench.report import Finding
from tests.bench.servers import FASTIFY, FASTIFY_FOLDER, SERVERS

DOCS = Path(__file__).parents[2] / "docs"
VERSIONS = ("fastapi", "uvicorn", "sqlmodel", "sqlalchemy", "psycopg", "django", "djangorestframework", "gunicorn")


def write(found: dict[str, Finding]) -> None:
    page = DOCS / "performance.md"
    text = page.read_text()
    for part, finding in (found | {"machine": _machine()}).items():
        inside = re.compile(rf"(?<=<!-- {part} -->\n).*?(?=<!-- /{part} -->)", re.DOTALL)
        text, places = inside.subn(lambda _, finding=finding: f"\n{finding.text}\n\n", text)  # type: ignore[misc]  # a default
        if places != 1:
            raise LookupError(f"{page} has no place for {part}")
    page.write_text(text)
    if {"beside", "distance"} <= found.keys():
        (DOCS / "performance.svg").write_text(draw(found["beside"].figures, found["distance"].figures))


def _machine() -> Finding:
    versions = ", ".join([*(f"{package} {version(package)}" for package in VERSIONS), *_of_node()])
    return Finding(f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}; {versions}.")


def _of_node() -> list[str]:
    if FASTIFY not in SERVERS:
        return []
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip("v\n")  # noqa: S607 - the one of the PATH, as it was measured
    packages = json.loads((FASTIFY_FOLDER / "package.json").read_text())["dependencies"]
    return [f"node {node}", *(f"{package} {version}" for package, version in packages.items())]
