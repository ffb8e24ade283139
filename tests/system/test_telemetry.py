"""Telemetry as a collector receives it: off unless OpenTelemetry's variables ask for it, and without user data."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.planted import PLANTED
from tests.system.collector import Collector, attributes, collecting
from tests.system.service import TASK, assert_refused, clean_environment, run, serving

ONE_AT_A_TIME = {"DATABASE_CONNECTIONS": "1", "DATABASE_QUEUE": "1", "DATABASE_DEADLINE_SECONDS": "60"}
BY_THE_END = {"OTEL_BSP_SCHEDULE_DELAY": "600000", "OTEL_METRIC_EXPORT_INTERVAL": "100"}
"""Spans come when the service stops, metrics all the time."""
AT_ONCE = {"OTEL_BSP_SCHEDULE_DELAY": "1", "OTEL_METRIC_EXPORT_INTERVAL": "100"}
USER = {"X-User-Id": "secretive", "User-Agent": "secretive"}
CALLER_IDS = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
CALLER = {"traceparent": f"00-{'-'.join(CALLER_IDS)}-01", "X-Request-Id": "made"}
CANCEL = (
    "select pg_cancel_backend(pid) from pg_stat_activity where wait_event_type = 'Lock' and pid <> pg_backend_pid()"
)


@dataclass
class Watched:
    """A service that has stopped, and what it exported."""

    collector: Collector
    task_id: str
    versions: set[str]


@pytest.fixture(scope="module")
def watched(database_url: str) -> Iterator[Watched]:
    """It created a task, met a locked row, refused a request because the queue was full, and refused invalid ones."""
    with collecting() as collector, ThreadPoolExecutor() as pool, psycopg.connect(database_url) as other:
        asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address, "FASTAPI_OTEL_AUTO_CONFIGURE": "true"}
        with serving(database_url, **ONE_AT_A_TIME, **BY_THE_END, **asked) as (service, client):
            client.headers |= USER
            made = client.post("/v1/tasks", json=TASK, headers=CALLER | {"Idempotency-Key": "secretive"})
            task_id = made.json()["id"]
            task = f"/v1/tasks/{task_id}"
            for wrong in ("/v1/tasks?secretive=1", f"{task}?secretive=1", "/secretive", f"/v1/tasks/{uuid4()}"):
                client.get(wrong)
            client.head(task)

            other.execute("select from tasks where id = %s for update", [task_id])
            locked = pool.submit(client.post, f"{task}/toggle")
            collector.wait_until(lambda: in_use_and_waiting(collector) == [1, 0])
            queued = pool.submit(client.get, "/v1/tasks")
            collector.wait_until(lambda: in_use_and_waiting(collector) == [1, 1])
            refused = client.get("/v1/tasks")
            with psycopg.connect(database_url, autocommit=True) as administrator:
                administrator.execute(CANCEL)
            assert [each.status_code for each in (locked.result(), queued.result(), refused)] == [503, 200, 503]
            collector.wait_until(lambda: in_use_and_waiting(collector) == [0, 0])

            versions = {service.events("ready")[0]["version"], client.get("/openapi.json").json()["info"]["version"]}
            assert service.end() == 0
        yield Watched(collector, task_id, versions)


def in_use_and_waiting(collector: Collector) -> list[int]:
    names = ("db.client.connection.count", "db.client.connection.pending_requests")
    return [point.as_int for name in names for point in collector.points(name).values()]


def test_a_request_is_a_server_span_of_its_caller(watched: Watched) -> None:
    span = watched.collector.spans_named("POST /v1/tasks")[0]
    assert (span.kind, span.trace_id.hex(), span.parent_span_id.hex()) == (Span.SPAN_KIND_SERVER, *CALLER_IDS)
    assert attributes(span.attributes) == {
        "http.request.method": "POST",
        "http.route": "/v1/tasks",
        "http.response.status_code": 201,
        "http.response.header.x-request-id": ["made"],
        "url.scheme": "http",
    }


def test_an_operation_is_a_client_span_of_its_request(watched: Watched) -> None:
    request = watched.collector.spans_named("POST /v1/tasks")[0]
    span = watched.collector.spans_named("add_once tasks")[0]
    assert (span.kind, span.trace_id, span.parent_span_id) == (
        Span.SPAN_KIND_CLIENT,
        request.trace_id,
        request.span_id,
    )
    assert request.start_time_unix_nano <= span.start_time_unix_nano < span.end_time_unix_nano
    assert span.end_time_unix_nano <= request.end_time_unix_nano
    assert attributes(span.attributes) == {
        "db.system.name": "postgresql",
        "db.operation.name": "add_once",
        "db.collection.name": "tasks",
        "db.response.returned_rows": 1,
        "taskward.outcome": "ok",
    }


def test_each_request_and_each_operation_has_one_span(watched: Watched) -> None:
    names = [span.name for span in watched.collector.spans()]
    task = "/v1/tasks/{task_id}"
    assert sorted(names) == sorted(
        [
            *("POST /v1/tasks", "add_once tasks"),
            *("GET /v1/tasks", f"GET {task}", "GET"),  # refused before they reach the database
            *(f"GET {task}", "get tasks", f"HEAD {task}", "get tasks"),
            *(f"POST {task}/toggle", "toggle tasks"),
            *("GET /v1/tasks", "list tasks", "GET /v1/tasks", "list tasks"),
            "GET",  # the document is the framework's own route
        ]
    )


def test_a_missing_task_is_no_failed_operation(watched: Watched) -> None:
    span = next(each for each in watched.collector.spans_named("get tasks") if not rows(each))
    assert attributes(span.attributes)["taskward.outcome"] == "not_found"
    assert span.status.code == Status.STATUS_CODE_UNSET


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("POST /v1/tasks/{task_id}/toggle", {"error.type": "503"}),
        ("toggle tasks", {"error.type": "StorageUnavailable", "db.response.status_code": "57014"}),
    ],
)
def test_a_failure_shows_as_one(watched: Watched, name: str, facts: dict[str, str]) -> None:
    (span,) = watched.collector.spans_named(name)
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert attributes(span.attributes).items() >= facts.items()


def test_durations_of_requests_are_a_histogram(watched: Watched) -> None:
    by_route = watched.collector.points("http.server.request.duration")
    created = by_route["POST", "/v1/tasks", 201, "http"]
    assert (created.count, sum(created.bucket_counts), created.explicit_bounds[0]) == (1, 1, 0.001)
    assert 0 < created.sum <= seconds(watched.collector.spans_named("POST /v1/tasks")[0])
    assert by_route["POST", "/v1/tasks/{task_id}/toggle", 503, "http", "503"].count == 1
    assert by_route["GET", "/v1/tasks", 503, "http", "503"].count == 1
    assert sum(point.count for point in by_route.values()) == len(of_kind(watched, Span.SPAN_KIND_SERVER))


def test_durations_of_operations_are_a_histogram(watched: Watched) -> None:
    by_operation = watched.collector.points("db.client.operation.duration")
    counts = {key[1:2] + key[3:]: point.count for key, point in by_operation.items()}
    assert counts == {
        ("add_once", "ok"): 1,
        ("get", "ok"): 1,
        ("get", "not_found"): 1,
        ("list", "ok"): 1,
        ("list", "StorageOverloaded", "StorageOverloaded"): 1,
        ("toggle", "StorageUnavailable", "StorageUnavailable"): 1,
    }
    (added,) = [point for key, point in by_operation.items() if "add_once" in key]
    assert added.sum == pytest.approx(seconds(watched.collector.spans_named("add_once tasks")[0]))
    assert all(point.sum > 0 for point in by_operation.values())


def test_refusals_are_counted(watched: Watched) -> None:
    assert [point.as_int for point in watched.collector.points("taskward.refusals").values()] == [1]


def test_no_user_data_are_exported(watched: Watched) -> None:
    everything = b"".join(body for _, body in watched.collector.received)
    for private in (PLANTED, USER["X-User-Id"], watched.task_id):
        assert private.encode() not in everything


def test_only_spans_and_metrics_are_exported(watched: Watched) -> None:
    assert {path for path, _ in watched.collector.received} == {"/v1/traces", "/v1/metrics"}
    assert watched.collector.scopes() == {"taskward"}


def test_the_version_is_the_same_everywhere(watched: Watched) -> None:
    exported = {(resource["service.name"], resource["service.version"]) for resource in watched.collector.resources()}
    assert exported == {("taskward", version("taskward"))}
    assert watched.versions == {version("taskward")}


def of_kind(watched: Watched, kind: int) -> list[Span]:
    return [span for span in watched.collector.spans() if span.kind == kind]


def seconds(span: Span) -> float:
    return (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9


def rows(span: Span) -> int:
    found: int = attributes(span.attributes)["db.response.returned_rows"]
    return found


def test_each_worker_has_its_own_instance_id(database_url: str, collector: Collector) -> None:
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address}
    with serving(database_url, WORKERS="2", **asked) as (service, _):
        service.wait_for('"ready"')
        assert service.end() == 0
    assert len({resource["service.instance.id"] for resource in collector.resources()}) == 2


def test_a_silent_collector_cannot_delay_the_stop(database_url: str, collector: Collector) -> None:
    collector.answers.clear()
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address, "OTEL_EXPORTER_OTLP_TIMEOUT": "600"}
    with serving(database_url, SHUTDOWN_GRACE_SECONDS="1", **AT_ONCE, **asked) as (service, client):
        assert client.post("/v1/tasks", json=TASK).status_code == 201
        collector.wait_until(lambda: {path for path, _ in collector.received} == {"/v1/traces", "/v1/metrics"})
        assert client.get("/v1/tasks").status_code == 200
        assert service.end() == 0


def test_a_missing_collector_costs_no_answer(database_url: str) -> None:
    asked = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    with serving(database_url, SHUTDOWN_GRACE_SECONDS="1", **AT_ONCE, **asked) as (service, client):
        assert client.post("/v1/tasks", json=TASK).status_code == 201
        service.wait_for("while exporting spans")
        assert client.get("/v1/tasks").status_code == 200
        assert service.end() == 0


@pytest.mark.parametrize("signal", ["traces", "metrics"])
def test_the_environment_can_leave_out_a_signal(database_url: str, collector: Collector, signal: str) -> None:
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address, "OTEL_SERVICE_NAME": "ours"}
    asked[f"OTEL_{signal.upper()}_EXPORTER"] = "none"
    with serving(database_url, **asked) as (service, client):
        assert client.post("/v1/tasks", json=TASK).status_code == 201
        assert service.end() == 0
    assert {path for path, _ in collector.received} == {"/v1/traces", "/v1/metrics"} - {f"/v1/{signal}"}
    assert {resource["service.name"] for resource in collector.resources()} == {"ours"}


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("OTEL_METRIC_EXPORT_INTERVAL", "0", "interval value 0.0 is invalid"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "many", "OTEL_ATTRIBUTE_COUNT_LIMIT must be a non-negative integer"),
    ],
)
def test_a_refused_variable_ends_the_start(database_url: str, variable: str, value: str, reason: str) -> None:
    asked = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    ended = run("serve", DATABASE_URL=database_url, PORT="0", **asked, **{variable: value})
    assert_refused(ended, "OTEL_", reason, logged=["listening"])


def test_a_missing_telemetry_extra_is_logged_once(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['opentelemetry.exporter'] = None\n")
    asked = {"OTEL_TRACES_EXPORTER": "otlp", "PYTHONPATH": str(tmp_path)}
    with serving(database_url, **asked) as (service, client):
        assert client.post("/v1/tasks", json=TASK).status_code == 201
        assert service.end() == 0
    assert [(event["level"], event["reason"]) for event in service.events("telemetry is off")] == [
        ("warning", "taskward[telemetry] is not installed")
    ]


def test_telemetry_is_loaded_only_if_asked_for(database_url: str) -> None:
    look = """
import sys
from entrypoints.processes.worker import create_app
from entrypoints.settings import Settings
settings = Settings.load()
app = create_app(settings, with_telemetry=settings.telemetry() == "on")
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))])
print(app.middleware_stack, app.state.services.observer())
print({app._telemetry[signal] for signal in ("tracing", "metrics", "logs")})  # the framework's own
"""
    environment = clean_environment() | {"DATABASE_URL": database_url}
    seen = subprocess.run([sys.executable, "-c", look], env=environment, capture_output=True, text=True, check=True)
    assert seen.stdout.splitlines() == ["[]", "None None", "{False}"]
