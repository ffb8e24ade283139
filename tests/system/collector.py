"""A minimal collector of OpenTelemetry's data over HTTP."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.system.service import PATIENCE_SECONDS


class Collector(ThreadingHTTPServer):
    """Keeps all that it receives. While `answers` is not set, it receives but does not answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[tuple[str, bytes]] = []
        """The path and the body of each request."""
        self._news = threading.Condition()
        self.answers = threading.Event()
        self.answers.set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def add(self, path: str, body: bytes) -> None:
        with self._news:
            self.received.append((path, body))
            self._news.notify_all()

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait until the condition holds. It is checked whenever something arrives."""
        with self._news:
            assert self._news.wait_for(holds, PATIENCE_SECONDS)

    def spans(self) -> list[Span]:
        return [span for each in self._traces() for scope in each.scope_spans for span in scope.spans]

    def spans_named(self, name: str) -> list[Span]:
        return [span for span in self.spans() if span.name == name]

    def metrics(self) -> list[Metric]:
        return [metric for each in self._metrics() for scope in each.scope_metrics for metric in scope.metrics]

    def points(self, name: str) -> dict[tuple[object, ...], Any]:
        """Return the newest points of a metric, by the values of their attributes."""
        metric = next((metric for metric in reversed(self.metrics()) if metric.name == name), None)
        data = metric and getattr(metric, str(metric.WhichOneof("data"))).data_points
        return {tuple(attributes(point.attributes).values()): point for point in data or ()}

    def scopes(self) -> set[str]:
        """Return the names of the scopes that sent spans or metrics."""
        spans = {scope.scope.name for each in self._traces() for scope in each.scope_spans}
        return spans | {scope.scope.name for each in self._metrics() for scope in each.scope_metrics}

    def resources(self) -> list[dict[str, Any]]:
        """Return the attributes of the sending process, once per message."""
        return [attributes(each.resource.attributes) for each in (*self._traces(), *self._metrics())]

    def _traces(self) -> list[Any]:
        bodies = [body for path, body in self.received if path == "/v1/traces"]
        return [each for body in bodies for each in ExportTraceServiceRequest.FromString(body).resource_spans]

    def _metrics(self) -> list[Any]:
        bodies = [body for path, body in self.received if path == "/v1/metrics"]
        return [each for body in bodies for each in ExportMetricsServiceRequest.FromString(body).resource_metrics]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Collector)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.add(self.path, body)
        self.server.answers.wait()
        with contextlib.suppress(ConnectionError):
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    with Collector() as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        try:
            yield collector
        finally:
            collector.answers.set()
            collector.shutdown()


def attributes(given: Any) -> dict[str, Any]:
    """Return attributes as a dictionary of plain values."""
    return {each.key: _plain(each) for each in given}


def _plain(each: KeyValue) -> Any:
    kind = str(each.value.WhichOneof("value"))
    value = getattr(each.value, kind)
    return [item.string_value for item in value.values] if kind == "array_value" else value
