"""A worker process: uvicorn, with a shutdown that resets no accepted connection."""

import asyncio
import contextlib
import signal
import socket
import sys
from multiprocessing.connection import Connection
from time import monotonic
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI

from entrypoints.asgi import create_app
from entrypoints.processes.listener import drop_new_connections, has_waiting
from entrypoints.processes.signals import end_at_once
from entrypoints.server.protocol import StrictHttpProtocol
from entrypoints.settings import Settings

BEAT_SECONDS: Final = 5
"""How often a worker shows its supervisor that its event loop runs, beginning when it serves."""
ACCEPT_SECONDS: Final = 0.05
"""Enough for handshakes in progress to complete, over any network of a data centre."""
REST_SECONDS: Final = 0.5
"""A client may send one more request on an idle connection for this long: one may be on its way already."""


class Server(uvicorn.Server):
    """Stops in order on the first signal and at once on the second. A supervisor handles the second itself."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, supervisor: Connection | None) -> None:
        super().__init__(config)
        self._app = app
        self._supervisor = supervisor

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        if self.should_exit and self._supervisor is None:
            end_at_once(sig)
        self.should_exit = True
        self._app.state.is_ending = True
        self._app.state.ends_by = monotonic() + (self.config.timeout_graceful_shutdown or 0)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._supervisor:
            asyncio.get_running_loop().add_reader(self._supervisor, self._on_supervisor_ended, self._supervisor)
        elif signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self.handle_exit)
        for listener in sockets or ():
            try:
                listener.listen(self.config.backlog)  # before `ready` is logged
            except OSError as error:  # another process took the port first
                sys.exit(f"taskward: HOST, PORT: cannot listen: {error.strerror}")
        await super().startup(sockets)

    def _on_supervisor_ended(self, supervisor: Connection) -> None:
        """Stop, since the supervisor has ended: it never writes, so its pipe is readable only then."""
        asyncio.get_running_loop().remove_reader(supervisor)
        self.handle_exit(signal.SIGTERM, None)

    async def beat(self) -> None:
        if self._supervisor:
            with contextlib.suppress(OSError):
                self._supervisor.send_bytes(b".")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept the connections that the kernel holds, answer the last request of each, and close idle ones."""
        if not self._supervisor:
            for listener in sockets or ():
                drop_new_connections(listener)
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        for connection in self.server_state.connections:
            if (cycle := getattr(connection, "cycle", None)) and not cycle.response_complete:
                connection.shutdown()  # closes once it has answered
        await asyncio.sleep(ACCEPT_SECONDS)
        for _ in range(self.config.backlog):
            if any(map(has_waiting, sockets or ())):
                await asyncio.sleep(0)  # the event loop accepts in this turn
        for server in self.servers:
            server.close()
        for _ in range(10):
            if self.server_state.connections:
                await asyncio.sleep(REST_SECONDS / 10)
        await super().shutdown(sockets)


def serve(settings: Settings, listener: socket.socket, supervisor: Connection | None) -> None:
    """Serve until a signal to stop."""
    app = create_app(settings, with_telemetry=settings.telemetry() == "on")
    config = uvicorn.Config(
        app,
        http=StrictHttpProtocol,
        ws="none",
        log_config=None,  # logging is configured already
        access_log=False,  # the application's own request log says more
        server_header=False,
        proxy_headers=False,  # nothing here depends on the caller's address or scheme
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.shutdown_grace_seconds,
        timeout_notify=BEAT_SECONDS,
    )
    server = Server(config, app, supervisor)
    config.callback_notify = server.beat
    server.run([listener])
