"""Puts what was measured into docs/performance.md, between the marks that are there for it, and draws the picture."""

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

from tests.bench.picture import draw
from tests.bench.report import Finding

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
    versions = ", ".join(f"{package} {version(package)}" for package in VERSIONS)
    return Finding(f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}; {versions}.")
