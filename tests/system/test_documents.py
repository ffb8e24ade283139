"""Runs every session that the documents show, word for word, and checks that the tests they name exist."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.postgres.schema.revisions import create_migration_engine, upgrade
from tests.databases import SCALING
from tests.system.service import serving

CHECKOUT = Path(__file__).parents[2]
SCALING_PAGE = (CHECKOUT / "docs" / "scaling.md").read_text()
ADDRESS = "http://127.0.0.1:8000"
# Ids, times, request ids, entity tags, cursors: they differ from run to run.
VOLATILE = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z"
    r'|(?<="request_id":")[0-9a-f]{32}'
    r'|(?<=")\d{16}(?=\\?")'
    r'|(?<=")[\w-]{20}(?=")'
    r"|(?<=cursor=)[\w-]{38}"
)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here, which the documents use")
@pytest.mark.parametrize(("document", "requests"), [("README.md", 3), ("docs/api.md", 16)])
def test_each_request_is_answered_as_written(empty_database_url: str, document: str, requests: int) -> None:
    upgrade(create_migration_engine(empty_database_url))
    blocks = re.findall(r"^```console\n(.+?)^```", (CHECKOUT / document).read_text(), re.DOTALL | re.MULTILINE)
    session = re.findall(r"^\$ (.+)\n((?:(?!\$ ).+\n)+)", "".join(blocks), re.MULTILINE)
    assert len(session) == requests
    real: dict[str, str] = {}
    with serving(empty_database_url) as (_, client):
        address = str(client.base_url).rstrip("/")
        for written, expected in session:
            command = VOLATILE.sub(lambda value: real.get(value[0], value[0]), written).replace(ADDRESS, address)
            done = subprocess.run(command, shell=True, capture_output=True, check=True, text=True)  # noqa: S602 - as written
            assert VOLATILE.sub("…", done.stdout.strip()) == VOLATILE.sub("…", expected.strip())
            real.update(zip(VOLATILE.findall(expected), VOLATILE.findall(done.stdout), strict=True))


def test_each_named_proof_exists() -> None:
    proofs = set(re.findall(r"tests/[a-z_/]+\.py::[A-Za-z_:]+", (CHECKOUT / "SECURITY.md").read_text()))
    assert len(proofs) > 40
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "--quiet", *proofs],
        cwd=CHECKOUT,
        capture_output=True,
        check=False,
        text=True,
    )
    found = {line.partition("[")[0] for line in done.stdout.splitlines()}
    assert (done.returncode, proofs - found) == (0, set()), done.stdout


def test_each_scaling_statement_names_its_source() -> None:
    no_statements = r"^ *```(?s:.+?)^ *```\n|^\| .*\n\| ---.*\n|^#.*\n"  # code, heads of tables, headings
    page = re.sub(no_statements, "", SCALING_PAGE.split("| [C] |")[1], flags=re.MULTILINE)
    statements = [text for text in re.split(r"\n\n+|\n(?=\|)|\n *(?=- |\d\. )", page)[1:] if text.strip()]
    assert len(statements) > 50
    assert [text for text in statements if not re.search(r"\[[TSMDC]\]", text)] == []


def test_the_scaling_guides_sql_is_tested() -> None:
    assert "```sql" not in SCALING_PAGE
    named = re.findall(r"[Pp]arts? `(\w+)`", SCALING_PAGE)
    assert set(named) == set(SCALING[1::2])
