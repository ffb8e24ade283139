"""The server: its listening socket, its processes, and its end."""

import contextlib
import resource
import signal
import socket
import sys
from types import FrameType

import structlog
import uvicorn
from uvicorn.supervisors import ChangeReload, Multiprocess

from entrypoints.server.protocol import StrictHttpProtocol
from entrypoints.settings import HOME, ConfigurationError, Settings

log = structlog.get_logger()


def listen(settings: Settings) -> socket.socket:
    """A socket that listens before any worker runs, so that the address is known and refused early."""
    with contextlib.suppress(OSError, ValueError):  # some systems allow less than they say
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
        listener.set_inheritable(True)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "this is no name of a host"
        raise ConfigurationError(f"HOST, PORT: cannot listen on {settings.host}:{settings.port}: {reason}") from None
    log.info("listening", address=address_of(listener))
    return listener


def address_of(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(settings: Settings, listener: socket.socket, *, reload: bool) -> None:
    """Serves until SIGTERM or SIGINT, then ends in order and exits with 0. A second signal ends it at once."""
    config = uvicorn.Config(
        "entrypoints.asgi:create_app",
        factory=True,
        workers=settings.workers,
        reload=reload,
        reload_dirs=[str(HOME / package) for package in ("domain", "adapters", "entrypoints")] if reload else None,
        http=StrictHttpProtocol,
        ws="none",
        log_config=None,  # the factory configures logging in each process
        access_log=False,  # the application's own request log has more to say
        server_header=False,
        proxy_headers=False,  # nothing here depends on the address or the scheme of whoever calls
        timeout_graceful_shutdown=settings.shutdown_grace_seconds,
    )
    if reload:
        ChangeReload(config, target=uvicorn.Server(config).run, sockets=[listener]).run()
    elif settings.workers > 1:
        _Processes(config, sockets=[listener]).run()
    else:
        _Server(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            _end_at_once(sig)
        super().handle_exit(sig, frame)


class _Processes(Multiprocess):
    """The workers themselves bear a second signal: a terminal's Ctrl-C reaches them twice, once through this one."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self._is_ending = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        end_with_terminal()

    def _end(self, number: int, _frame: FrameType | None) -> None:
        if self._is_ending:
            for worker in self.processes:
                worker.process.kill()
            _end_at_once(number)
        self._is_ending = True
        self.signal_queue.append(number)


def _end_at_once(number: int) -> None:
    """As a process ends that does not handle the signal, so that nobody takes it for an orderly end."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def end_in_order() -> None:
    """SIGTERM, Ctrl-C and a closed terminal are no errors. The server raises them anew after its own orderly end."""
    signal.signal(signal.SIGTERM, _exit)
    signal.signal(signal.SIGINT, _exit)
    end_with_terminal()


def end_with_terminal() -> None:
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as under nohup
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))


def _exit(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)
