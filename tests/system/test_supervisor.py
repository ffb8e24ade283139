"""The supervisor replaces workers, survives what goes wrong, and ends with an honest exit code."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from time import monotonic

import psutil
import pytest

from entrypoints.processes.supervisor import FAILED_STARTS_MAX
from tests.system.service import PATIENCE_SECONDS, TASK, TASKWARD, Service, run, serving

ROOT = Path(__file__).parents[2]
TWO = {"WORKERS": "2"}


def workers_of(service: Service) -> list[psutil.Process]:
    """Return the worker processes, without multiprocessing's own helper process."""
    workers = []
    for child in psutil.Process(service.process.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            if child.status() != psutil.STATUS_ZOMBIE and "spawn_main" in " ".join(child.cmdline()):
                workers.append(child)
    return workers


def program(folder: Path, worker: str = "") -> tuple[str, ...]:
    """Return a command that runs a copy of the sources in this folder. Its workers run these statements first."""
    for package in ("domain", "adapters", "entrypoints", "migrations"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    module = folder / "entrypoints" / "processes" / "worker.py"
    module.write_text(worker + module.read_text())
    script = folder / "program.py"
    script.write_text("if __name__ == '__main__':\n    from entrypoints.cli import main\n    main()\n")
    return (sys.executable, str(script), "serve")


def test_a_dead_worker_is_logged_and_replaced(database_url: str) -> None:
    with serving(database_url, **TWO) as (service, client):
        service.wait_for('"ready"')
        workers_of(service)[0].kill()
        assert '"exit_code":-9' in service.wait_for('"worker ended"')
        service.wait_for('"ready"')
        assert client.post("/v1/tasks", json=TASK).status_code == 201
        assert service.end() == 0


def test_workers_that_die_at_start_end_the_service(database_url: str, tmp_path: Path) -> None:
    command = program(tmp_path, "import os\nos._exit(9)\n")
    with Service({"DATABASE_URL": database_url} | TWO, command=command) as service:
        service.wait_for('"workers do not start"')
        assert service.process.wait(PATIENCE_SECONDS) == 1
    assert {event["exit_code"] for event in service.events("worker ended")} == {9}


def test_the_service_survives_deletion_of_its_program(database_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "program"
    folder.mkdir()
    with Service({"DATABASE_URL": database_url} | TWO, command=program(folder), cwd=folder) as service:
        client = service.wait_until_ready()
        service.wait_for('"ready"')
        shutil.rmtree(folder)
        workers_of(service)[0].kill()
        service.wait_for('"exit_code":-9')
        service.wait_for('"worker ended"')  # its successor
        with client:
            assert client.post("/v1/tasks", json=TASK, headers={"Connection": "close"}).status_code == 201
        assert service.end() == 0


def test_workers_are_replaced_in_a_deleted_folder(database_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "release"
    folder.mkdir()
    with Service({"DATABASE_URL": database_url} | TWO, cwd=folder) as service, service.wait_until_ready() as client:
        service.wait_for('"ready"')
        folder.rmdir()
        workers_of(service)[0].kill()
        service.wait_for('"ready"')
        assert client.post("/v1/tasks", json=TASK, headers={"Connection": "close"}).status_code == 201
        assert service.end() == 0


def test_a_supervisor_without_free_descriptors_recovers(database_url: str) -> None:
    with serving(database_url, **TWO) as (service, client):
        service.wait_for('"ready"')
        supervisor = psutil.Process(service.process.pid)
        _, most = supervisor.rlimit(psutil.RLIMIT_NOFILE)
        supervisor.rlimit(psutil.RLIMIT_NOFILE, (supervisor.num_fds(), most))
        workers_of(service)[0].kill()
        assert "Too many open files" in service.wait_for('"worker not started"')
        assert client.post("/v1/tasks", json=TASK, headers={"Connection": "close"}).status_code == 201
        supervisor.rlimit(psutil.RLIMIT_NOFILE, (most, most))
        service.wait_for('"ready"')
        assert service.end() == 0


def test_failed_starts_do_not_end_a_serving_worker(database_url: str) -> None:
    with serving(database_url, **TWO) as (service, client):
        service.wait_for('"ready"')
        supervisor = psutil.Process(service.process.pid)
        supervisor.rlimit(psutil.RLIMIT_NOFILE, (supervisor.num_fds(), supervisor.rlimit(psutil.RLIMIT_NOFILE)[1]))
        one, other = workers_of(service)
        one.suspend()  # so that no sign of its life comes between the failures
        other.kill()
        for _ in range(FAILED_STARTS_MAX + 1):
            service.wait_for('"worker not started"')
        one.resume()
        assert client.post("/v1/tasks", json=TASK, headers={"Connection": "close"}).status_code == 201
        assert not service.events("workers do not start")


def test_without_any_worker_the_exit_code_is_1(database_url: str) -> None:
    with serving(database_url, **TWO) as (service, _):
        service.wait_for('"ready"')
        supervisor = psutil.Process(service.process.pid)
        supervisor.rlimit(psutil.RLIMIT_NOFILE, (3, supervisor.rlimit(psutil.RLIMIT_NOFILE)[1]))
        for worker in workers_of(service):
            worker.kill()
        service.wait_for('"workers do not start"')
        assert service.process.wait(PATIENCE_SECONDS) == 1


BOUNDS = {"supervisor.py": "HUNG_SECONDS: Final = 60.0", "worker.py": "BEAT_SECONDS: Final = 5"}


def impatient(folder: Path) -> tuple[str, ...]:
    """Return the command with a limit that a test can wait for: three seconds instead of a minute."""
    command = program(folder, "import time\ntime.sleep(4)  # longer than the limit, which does not apply to starts\n")
    for (name, bound), seconds in zip(BOUNDS.items(), ("3.0", "0.2"), strict=True):
        file = folder / "entrypoints" / "processes" / name
        assert file.read_text().count(bound) == 1
        file.write_text(file.read_text().replace(bound, f"{bound.rpartition(' ')[0]} {seconds}"))
    return command


def test_a_hung_worker_is_replaced_not_a_slow_start(database_url: str, tmp_path: Path) -> None:
    with Service({"DATABASE_URL": database_url} | TWO, command=impatient(tmp_path)) as service:
        service.wait_until_ready().close()
        service.wait_for('"ready"')
        assert service.events("worker hangs") == []
        hung = workers_of(service)[0]
        hung.suspend()
        assert json.loads(service.wait_for('"worker hangs"'))["pid"] == hung.pid
        assert json.loads(service.wait_for('"worker ended"'))["pid"] == hung.pid
        service.wait_for('"ready"')
        assert service.end() == 0


def test_replaced_workers_keep_the_settings_of_the_start(database_url: str, tmp_path: Path) -> None:
    env_file = tmp_path / "settings"
    env_file.write_text(f"DATABASE_URL={database_url}\nUSER_ID_HEADER=X-Before\nWORKERS=2\n")
    with Service({"ENV_FILE": str(env_file)}) as service, service.wait_until_ready() as client:
        service.wait_for('"ready"')
        env_file.write_text("DATABASE_URL=postgresql://nobody@127.0.0.1:1/x\nUSER_ID_HEADER=X-After\n")
        before = workers_of(service)
        for worker in before:
            worker.kill()
        for _ in before:
            service.wait_for('"ready"')
        assert client.post("/v1/tasks", json=TASK, headers={"X-Before": "alice"}).status_code == 201


def test_settings_from_a_pipe_enter_no_environment(database_url: str, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.write_text(f"DATABASE_URL={database_url}\nWORKERS=2\nUSER_ID_HEADER=X-Secret\n")
    command = ("bash", "-c", f"ENV_FILE=<(cat {secrets}) exec {TASKWARD} serve")
    with Service({}, command=command) as service, service.wait_until_ready():
        service.wait_for('"ready"')
        for worker in workers_of(service):
            assert "X-Secret" not in " ".join([*worker.cmdline(), *worker.environ().values()])
        assert service.end() == 0


def test_log_rotation_signals_end_no_process(database_url: str) -> None:
    with serving(database_url, **TWO) as (service, client):
        service.wait_for('"ready"')
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            os.killpg(service.process.pid, number)
        assert client.post("/v1/tasks", json=TASK).status_code == 201
        assert service.end() == 0
    assert service.events("worker ended") == []


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_service_under_nohup_survives_a_closed_terminal(database_url: str, workers: str) -> None:
    command = ("bash", "-c", f"trap '' HUP; exec {TASKWARD} serve")
    with Service({"DATABASE_URL": database_url, "WORKERS": workers}, command=command) as service:
        client = service.wait_until_ready()
        os.killpg(service.process.pid, signal.SIGHUP)
        with client:
            assert client.post("/v1/tasks", json=TASK).status_code == 201
        assert service.end() == 0


def test_process_1_obeys_a_signal_while_loading(database_url: str) -> None:
    """A container's process 1 ignores signals without a handler, and has none before Python runs. So repeat it."""
    namespace = ["unshare", "--pid", "--fork", "--kill-child"]
    if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not make a PID namespace")
    with Service({"DATABASE_URL": database_url}, command=(*namespace, TASKWARD, "serve")) as service:
        (first,) = children_of(service.process.pid)
        until = monotonic() + PATIENCE_SECONDS
        while service.process.poll() is None:
            assert monotonic() < until, "it ignores the signal"
            with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
                first.terminate()
                first.wait(0.1)
        assert service.process.returncode in (0, 128 + signal.SIGTERM)
    assert service.events("ready") == []


def children_of(pid: int) -> list[psutil.Process]:
    """Return the child processes, once any runs the program."""
    until = monotonic() + PATIENCE_SECONDS
    while monotonic() < until:
        children = [child for child in psutil.Process(pid).children() if "taskward" in " ".join(child.cmdline())]
        if children:
            return children
    raise TimeoutError("there are none")


SHOWING = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps({"event": "loaded", "modules": [*sys.modules]})))
from entrypoints.cli import main
main()
"""
APPLICATION = {"fastapi", "starlette", "uvicorn", "dependency_injector", "adapters.postgres.statements"}


def loaded_by(*command: str, ready: str | None = "ready", **environment: str) -> set[str]:
    """Run this command, and return the modules that its first process has loaded at its end."""
    with Service(environment, command=(sys.executable, "-c", SHOWING, *command)) as service:
        if ready:
            service.wait_for(ready)
            service.process.terminate()
        loaded: list[str] = json.loads(service.wait_for('"loaded"'))["modules"]
        assert service.process.wait(PATIENCE_SECONDS) == 0
    return set(loaded)


def test_a_supervisor_loads_no_application(database_url: str) -> None:
    loaded = loaded_by("serve", "--workers", "2", DATABASE_URL=database_url)
    assert "adapters.postgres.schema.startup" in loaded
    assert loaded & (APPLICATION | {"sqlalchemy", "sqlmodel", "alembic"}) == set()


def test_the_supervisor_of_development_loads_no_application(server_folder: Path) -> None:
    loaded = loaded_by("dev", TASKWARD_DATA=str(server_folder))
    assert "adapters.embedded_postgres" in loaded
    assert loaded & (APPLICATION | {"sqlalchemy", "sqlmodel", "alembic"}) == set()


def test_a_migration_loads_no_application(database_url: str) -> None:
    loaded = loaded_by("migrate", ready=None, DATABASE_URL=database_url)
    assert "alembic" in loaded
    assert loaded & APPLICATION == set()


def test_the_loaded_application_collects_garbage() -> None:
    script = (
        "import gc; gc.disable(); from entrypoints import asgi, settings;"
        " asgi.create_app(settings.Settings.load()); print(gc.isenabled())"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert loaded.stdout == "True\n"


def test_the_command_line_loads_next_to_nothing() -> None:
    script = "import entrypoints.cli, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout.split()
    assert {"pydantic", "structlog", "psycopg", "asyncio"} & set(loaded) == set()


def test_the_version_is_printed() -> None:
    assert run("--version").stdout == f"taskward {version('taskward')}\n"
