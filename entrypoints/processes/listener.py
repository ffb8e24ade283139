"""The socket on which the server listens, shared by all its processes."""

import contextlib
import ctypes
import resource
import select
import socket
import struct
import sys
from typing import Final

import structlog

from entrypoints.settings import ConfigurationError, Settings

log = structlog.get_logger()

# A BPF program for Linux, four sock_filter structs: load the TCP flags; skip one unless SYN is set; drop; accept.
_DROP_SYN: Final = struct.pack("HBBI" * 4, 0x30, 0, 0, 13, 0x45, 0, 1, 0x02, 0x06, 0, 0, 0, 0x06, 0, 0, 0xFFFFFFFF)
_SO_ATTACH_FILTER: Final = 26


def bind(settings: Settings) -> socket.socket:
    """Return a socket bound to HOST and PORT, and raise the limit of open files. Raises `ConfigurationError`.

    It does not listen until a process serves, so that no client waits while the program loads.
    """
    with contextlib.suppress(OSError, ValueError):  # some systems allow less than the limit they report
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "this is no name of a host"
        raise ConfigurationError(f"HOST, PORT: cannot listen on {settings.host}:{settings.port}: {reason}") from None
    log.info("listening", address=address_of(listener))
    return listener


def address_of(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def drop_new_connections(listener: socket.socket) -> None:
    """Have the kernel drop new connections, for all processes at once. Those already begun can still be accepted.

    Closing the socket resets connections that nobody has accepted yet. Only Linux has this filter, and newer kernels
    allow it only to root; elsewhere such a reset remains possible.
    """
    if sys.platform == "linux":
        program = ctypes.create_string_buffer(_DROP_SYN, len(_DROP_SYN))
        header = struct.pack("HP", len(_DROP_SYN) // 8, ctypes.addressof(program))
        with contextlib.suppress(PermissionError):
            listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, header)


def has_waiting(listener: socket.socket) -> bool:
    """Whether the kernel holds connections that no process has accepted yet."""
    return bool(select.select([listener], [], [], 0)[0])
