"""The OpenAPI document before linters, and before generators whose clients then work with a running service.

Needs Node 20 and what `make test-clients` installs; without them it is skipped.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.service import serving

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "openapi.json"
MODULES = HERE / "node_modules"
PATIENCE_SECONDS = 120
STRICT = ("--strict", "--noUncheckedIndexedAccess", "--noEmit", "--target", "es2022", "--module", "preserve")
GENERATED = {
    "openapi_fetch": ("openapi-typescript", "openapi.json", "--output", "openapi_fetch/schema.d.ts"),
    "hey_api": ("openapi-ts", "--input", "openapi.json", "--output", "hey_api"),
    "orval": ("orval", "--config", "./orval.config.cjs"),
}
"""By the journey's name, what generates its client."""

NODE = shutil.which("node")
NEW_ENOUGH = NODE and int(subprocess.check_output([NODE, "--version"], text=True)[1:].split(".")[0]) >= 20
pytestmark = [
    pytest.mark.skipif(not NEW_ENOUGH, reason="there is no Node 20 or newer here"),
    pytest.mark.skipif(not (MODULES / ".package-lock.json").is_file(), reason="`make test-clients` has not run here"),
]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the document, the journeys and the tools."""
    folder = tmp_path_factory.mktemp("clients")
    for file in (DOCUMENT, *HERE.glob("*.ts"), HERE / "orval.config.cjs", *HERE.glob("*.yaml")):
        shutil.copy(file, folder)
    (folder / "node_modules").symlink_to(MODULES)
    return folder


@pytest.fixture(scope="module")
def address(database_url: str) -> Iterator[str]:
    with serving(database_url) as (_, client):
        yield str(client.base_url).rstrip("/")


def run(workshop: Path, *command: str) -> None:
    done = subprocess.run(
        command,
        cwd=workshop,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
        env=os.environ | {"PATH": f"{MODULES / '.bin'}{os.pathsep}{os.environ['PATH']}"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_redocly_finds_no_fault(workshop: Path) -> None:
    run(workshop, "redocly", "lint", "--config=redocly.lint.yaml", "openapi.json")


def test_spectral_finds_no_fault(workshop: Path) -> None:
    run(workshop, "spectral", "lint", "--fail-severity=hint", "--ruleset=spectral.lint.yaml", "openapi.json")


@pytest.mark.parametrize("client", GENERATED)
def test_a_generated_client_walks_the_journey(client: str, workshop: Path, address: str) -> None:
    run(workshop, *GENERATED[client])
    run(workshop, "tsc", f"{client}.ts", *STRICT)
    run(workshop, "esbuild", f"{client}.ts", "--bundle", "--platform=node", "--format=esm", f"--outfile={client}.mjs")
    run(workshop, "node", f"{client}.mjs", address, client)
