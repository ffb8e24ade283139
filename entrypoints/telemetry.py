"""OpenTelemetry: a span and a duration for each request and each database operation. Imported only when it is on."""

import os
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from threading import Thread
from time import monotonic, time_ns
from typing import Any, Final

from fastapi import FastAPI
from opentelemetry import propagate
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode
from starlette.types import Message, Receive, Scope, Send

from entrypoints.container import Container

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""The buckets of the histograms, in seconds. OpenTelemetry's own start at 5."""
_SUCCESSES: Final = {"ok", "not_found", "unexpected", "exists"}


def install(app: FastAPI, container: Container) -> None:
    """Export what the application does until it stops. OpenTelemetry logs which of its variables are wrong."""
    telemetry = Telemetry(app, container)
    app.middleware_stack = telemetry
    container.observer.override(telemetry.observe)


class Telemetry:
    """The outermost layer of the application. Exports no path, no query and nothing else that users write."""

    def __init__(self, app: FastAPI, container: Container) -> None:
        self._app = app.build_middleware_stack()
        self._state, usage = app.state, container.database().usage
        ours = Resource.create({"service.name": "taskward", "service.version": app.version})
        resource = ours.merge(OTELResourceDetector().detect())  # the environment's service name comes first
        self._tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        if os.environ.get("OTEL_TRACES_EXPORTER") != "none":
            self._tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        exports_metrics = os.environ.get("OTEL_METRICS_EXPORTER") != "none"
        readers = [PeriodicExportingMetricReader(OTLPMetricExporter())] if exports_metrics else []
        self._meters = MeterProvider(readers, resource, shutdown_on_exit=False)
        self._tracer, meter = self._tracers.get_tracer("taskward"), self._meters.get_meter("taskward")
        durations = partial(meter.create_histogram, unit="s", explicit_bucket_boundaries_advisory=_BUCKETS)
        self._requests = durations("http.server.request.duration")
        self._operations = durations("db.client.operation.duration")
        self._refusals = meter.create_counter("taskward.refusals", "{operation}")
        gauge, used = meter.create_observable_up_down_counter, {"db.client.connection.state": "used"}
        gauge("db.client.connection.count", [lambda _: [Observation(usage()[0], used)]], "{connection}")
        gauge("db.client.connection.pending_requests", [lambda _: [Observation(usage()[1])]], "{request}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_on(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown"):
                self._shut_down()
            await send(message)

        if scope["type"] != "http":
            await self._app(scope, receive, send_on)
            return
        caller = propagate.extract(
            {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        )
        with self._tracer.start_as_current_span(
            scope["method"], caller, SpanKind.SERVER, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                await self._app(scope, receive, send)
            finally:
                self._end_request(span, scope["scheme"], **scope["state"])

    def _end_request(self, span: Span, scheme: str, *, request_id: str, facts: Mapping[str, Any], **_: object) -> None:
        method, route, status = facts["method"], facts["route"], facts["status"]
        span.update_name(f"{method} {route}" if route else method)
        failure = str(status) if status and status >= HTTPStatus.INTERNAL_SERVER_ERROR else None
        seen = {"http.request.method": method, "http.route": route, "http.response.status_code": status}
        attributes = _set_known(span, seen | {"url.scheme": scheme, "error.type": failure})
        self._requests.record(facts["duration_ms"] / 1000, attributes)
        span.set_attribute("http.response.header.x-request-id", [request_id])

    def observe(self, operation: str, seconds: float, facts: Mapping[str, Any]) -> None:
        """Record a database operation that has just ended, as part of its request."""
        outcome, end = facts["outcome"], time_ns()
        start = end - round(seconds * 1e9)
        span = self._tracer.start_span(f"{operation} tasks", kind=SpanKind.CLIENT, start_time=start)
        what = {"db.system.name": "postgresql", "db.operation.name": operation, "db.collection.name": "tasks"}
        what |= {"taskward.outcome": outcome} | ({} if outcome in _SUCCESSES else {"error.type": outcome})
        self._operations.record(seconds, _set_known(span, what))
        self._refusals.add(int(outcome == "StorageOverloaded"))
        _set_known(span, {"db.response.returned_rows": facts["rows"], "db.response.status_code": facts.get("sqlstate")})
        span.end(end)

    def _shut_down(self) -> None:
        """Export what is left. If the collector does not answer in time, leave the threads that wait for it."""
        threads = [Thread(target=each.shutdown, daemon=True) for each in (self._tracers, self._meters)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0, self._state.ends_by - monotonic()))


def _set_known(span: Span, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Set on the span those attributes that have a value, and return them."""
    known = {name: value for name, value in attributes.items() if value is not None}
    span.set_attributes(known)
    if "error.type" in known:
        span.set_status(StatusCode.ERROR)
    return known
