"""What each command does, and prints if it cannot go on: one clear line, no traceback, no password."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from adapters.embedded_postgres import embedded_postgres
from tests.databases import own_folder, with_parameters
from tests.planted import PLANTED
from tests.system.collector import Collector
from tests.system.service import (
    PATIENCE_SECONDS,
    TASKWARD,
    Service,
    assert_refused,
    clean_environment,
    client_of,
    run,
    serving,
)

ROOT = Path(__file__).parents[2]
PASSWORD = f"{PLANTED}-password"


@pytest.mark.parametrize("command", ["serve", "migrate", "distribute"])
def test_a_missing_url_is_named_with_the_remedy(command: str) -> None:
    assert_refused(run(command), "DATABASE_URL", "taskward dev")


@pytest.mark.parametrize("command", ["serve", "migrate", "distribute"])
@pytest.mark.parametrize("url", [f"mysql://u:{PASSWORD}@host/db", f"postgresql://u:{PASSWORD}@[broken/db", PASSWORD])
def test_a_malformed_url_is_named(command: str, url: str) -> None:
    assert_refused(run(command, DATABASE_URL=url), "DATABASE_URL")


def test_all_bad_values_are_named_at_once() -> None:
    ended = run("serve", PORT="http", WORKERS="0", LOG_FORMAT="xml", DATABASE_URL="x")
    assert ended.returncode != 0
    assert [line.split(":")[1].strip() for line in ended.stderr.splitlines()] == [
        "DATABASE_URL",
        "PORT",
        "WORKERS",
        "LOG_FORMAT",
    ]


def without_root_access(*command: str) -> tuple[str, ...]:
    """Return the command without root's right to read every file."""
    return ("setpriv", "--bounding-set", "-dac_override,-dac_read_search", *command) if os.geteuid() == 0 else command


both = pytest.mark.parametrize("command", ["serve", "dev"])


@pytest.mark.parametrize("locked", ["settings", ""], ids=["file", "folder"])
@both
def test_an_unreadable_env_file_is_named(tmp_path: Path, command: str, locked: str) -> None:
    file = tmp_path / "settings"
    file.touch()
    (tmp_path / locked).chmod(0)
    ended = run(command, program=without_root_access(TASKWARD), ENV_FILE=str(file))
    (tmp_path / locked).chmod(0o700)
    assert_refused(ended, f"ENV_FILE: cannot read {file}: Permission denied")


@both
def test_a_missing_env_file_is_named(command: str) -> None:
    assert_refused(run(command, ENV_FILE="/nowhere"), "ENV_FILE: there is no file /nowhere")


@both
def test_a_deleted_working_folder_is_named(tmp_path: Path, command: str) -> None:
    gone = ("bash", "-c", f'mkdir "{tmp_path}/x" && cd "$_" && rmdir "$PWD" && exec "$0" "$@"', TASKWARD)
    assert_refused(run(command, program=gone), "the working folder: No such file or directory")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be a user who is not there")
def test_dev_prints_the_remedy_for_a_nameless_user(server_folder: Path) -> None:
    powers = "+dac_override,+dac_read_search"  # else the user may not reach this Python
    nobody = ("setpriv", "--reuid", "54321", "--clear-groups", "--inh-caps", powers, "--ambient-caps", powers)
    homeless = (*nobody, "env", "-u", "HOME", TASKWARD)
    ended = run("dev", program=homeless, TASKWARD_DATA=str(server_folder), PORT="0")
    assert ended.stderr.splitlines() == ["taskward: PostgreSQL needs a user with a name: add user 54321 to /etc/passwd"]
    assert ended.returncode == 1


def test_waiting_for_an_unreachable_server_ends() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"postgresql://u:{PASSWORD}@127.0.0.1:{unused.getsockname()[1]}/db"
        ended = run("serve", DATABASE_URL=url)
    assert_refused(ended, "DATABASE_URL", "127.0.0.1", logged=["waiting for the database"])


def test_a_starting_server_is_waited_for(server_folder: Path) -> None:
    with embedded_postgres(server_folder) as url:
        assert run("migrate", DATABASE_URL=url).returncode == 0
    with Service({"DATABASE_URL": url}) as service:
        service.wait_for("waiting for the database")
        with embedded_postgres(server_folder), service.wait_until_ready() as client:
            assert client.get("/health/ready").status_code == 200


def test_a_database_that_does_not_exist_is_named(server_url: str) -> None:
    assert_refused(run("serve", DATABASE_URL=with_parameters(server_url, dbname="nowhere")), "DATABASE_URL", "nowhere")


@pytest.mark.parametrize("command", ["serve", "distribute"])
def test_a_missing_schema_is_reported_with_the_remedy(empty_database_url: str, command: str) -> None:
    assert_refused(run(command, DATABASE_URL=empty_database_url), "DATABASE_URL", "0001", "taskward migrate")


@pytest.fixture
def role(server_folder: Path) -> Iterator[str]:
    """The URL of a role that needs a password, on a server for this test only."""
    with embedded_postgres(server_folder) as url:
        rules = server_folder / "pg_hba.conf"
        rules.write_text("local all postgres trust\nlocal all all scram-sha-256\n")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("select pg_reload_conf()")
            connection.execute(sql.SQL("create role guest login password {}").format(PASSWORD))
        yield with_parameters(url, user="guest", password=PASSWORD)


def test_a_refused_password_is_reported_but_not_shown(role: str) -> None:
    wrong = with_parameters(role, password=f"not-{PASSWORD}")
    assert_refused(run("serve", DATABASE_URL=wrong), "DATABASE_URL", "guest", "password authentication failed")


def test_a_role_that_may_not_migrate_is_reported(role: str) -> None:
    reason = "DATABASE_URL: the migration was undone: permission denied for schema public"
    assert_refused(run("migrate", DATABASE_URL=role), reason)
    assert_refused(run("migrate", MIGRATION_DATABASE_URL=role), f"MIGRATION_{reason}")


def test_a_server_without_citus_is_reported(database_url: str) -> None:
    assert_refused(run("distribute", DATABASE_URL=database_url), "DATABASE_URL: nothing was changed", "Citus")


def test_the_migrations_own_url_comes_first(empty_database_url: str) -> None:
    ended = run("migrate", DATABASE_URL="postgresql://nobody@127.0.0.1:1/x", MIGRATION_DATABASE_URL=empty_database_url)
    assert ended.returncode == 0
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("select count(*) from tasks").fetchone() == (0,)


def test_a_port_that_is_taken_is_named(database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = run("serve", DATABASE_URL=database_url, PORT=port)
    assert_refused(ended, "PORT", port)


def test_the_printed_document_is_the_served_one(database_url: str) -> None:
    printed = json.loads(run("openapi").stdout)
    with serving(database_url) as (_, client):
        assert client.get("/openapi.json").json() == printed


@pytest.fixture
def checkout() -> Iterator[Path]:
    """A copy of the sources, so that its data are separate."""
    with own_folder() as folder:
        for package in ("domain", "adapters", "entrypoints", "migrations"):
            shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        yield folder


DEV = (sys.executable, "-c", "from entrypoints.cli import main; main()", "dev")


def test_dev_prints_a_working_request_and_keeps_data(checkout: Path, collector: Collector) -> None:
    titles: list[str] = []
    for title in (f"{PLANTED} first", f"{PLANTED} second"):
        # `dev` must ignore the databases that the environment names.
        elsewhere = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x", "MIGRATION_DATABASE_URL": "postgresql://"}
        asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address}
        with Service(elsewhere | asked, command=DEV, cwd=checkout) as service:
            service.wait_for("/docs")
            service.wait_for("PORT=")
            request = service.wait_for("curl ").strip()
            service.wait_for(" ready ")
            address = request.split()[1].removesuffix("/v1/tasks")
            if shutil.which("curl"):
                answer = subprocess.run(request, shell=True, capture_output=True, check=True, text=True)  # noqa: S602 - as printed
                assert json.loads(answer.stdout)["title"] == "Buy milk"
            with client_of(address) as client:
                client.post("/v1/tasks", json={"title": title})
                titles = [task["title"] for task in client.get("/v1/tasks").json()["items"]]
                assert client.get("/v1/tasks", headers={"Host": "rebound.example"}).status_code == 421
            assert service.end(signal.SIGINT) == 0
            assert not [line for line in service.lines if "[uvicorn" in line or "=None" in line]
    assert [title for title in titles if title != "Buy milk"] == [f"{PLANTED} second", f"{PLANTED} first"]
    assert not collector.received  # telemetry is for `serve` only


def test_dev_migrates_at_reload_and_refuses_newer_data(checkout: Path) -> None:
    newer = checkout / "migrations" / "versions" / "0002_more.py"
    with Service({}, command=DEV, cwd=checkout) as service:
        url = service.wait_for("Database  ").split()[-1]
        service.wait_for(" ready ")
        newer.write_text(
            'from alembic import op\n\nrevision, down_revision = "0002", "0001"\nbranch_labels = depends_on = None\n\n'
            'def upgrade():\n    op.execute("create table more ()")\n'
        )
        service.wait_for(" ready ")
        with psycopg.connect(url) as connection:
            assert connection.execute("select count(*) from more").fetchone() == (0,)
        newer.unlink()
        service.wait_for("taskward: the data are newer than this checkout")
        assert service.end(signal.SIGINT) == 0
        assert not [line for line in service.lines if "Traceback" in line]
    with Service({}, command=DEV, cwd=checkout) as service:
        service.wait_for("taskward: the data are newer than this checkout")
        assert service.process.wait(PATIENCE_SECONDS) == 1
        assert not [line for line in service.lines if "Traceback" in line]


def test_dev_keeps_its_data_in_taskward_data(checkout: Path, server_folder: Path) -> None:
    with Service({"TASKWARD_DATA": str(server_folder)}, command=DEV, cwd=checkout) as first:
        assert str(server_folder) in first.wait_for("Data, kept")
        first.wait_for(" ready ")
        with Service({"TASKWARD_DATA": str(server_folder)}, command=DEV, cwd=checkout) as second:
            assert "does `taskward dev` run already?" in second.wait_for("taskward: ")
            assert second.process.wait() == 1
        address = next(line for line in first.lines if "Taskward serves on" in line).split()[-1]
        with client_of(address) as client:
            assert client.get("/health/ready").status_code == 200
        assert first.end(signal.SIGHUP) == 0
    assert not (checkout / ".taskward").exists()


def test_the_wheel_includes_the_migrations(empty_database_url: str, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    shutil.copytree(ROOT, tmp_path / "source", ignore=shutil.ignore_patterns(".*", "__pycache__", "node_modules"))
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(tmp_path / "source")]
    subprocess.run([*pip, *build], check=True)
    (wheel,) = tmp_path.glob("taskward-*.whl")
    site = tmp_path / "site"
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", str(site), str(wheel)], check=True)
    script = "import entrypoints; from entrypoints.cli import main; print(entrypoints.__file__, flush=True); main()"
    environment = clean_environment() | {"PYTHONPATH": str(site), "DATABASE_URL": empty_database_url}
    ended = subprocess.run(
        [sys.executable, "-c", script, "migrate"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=True,
        text=True,
    )
    assert ended.stdout.startswith(str(site))
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("select count(*) from tasks").fetchone() == (0,)
