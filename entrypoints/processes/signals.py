"""A process's signals and standard streams. This runs first, so it imports next to nothing."""

import os
import signal
from collections.abc import Callable
from types import FrameType


def on_stop(handler: Callable[[int, FrameType | None], object]) -> None:
    """Install a handler for signals to stop. SIGHUP stays ignored under `nohup`; those for log rotation are ignored."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)


def end_at_once(number: int) -> None:
    """Die by the signal's default action, so that nobody takes it for an orderly end."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def open_standard_streams() -> None:
    """Open /dev/null for closed streams, or a socket gets their number, and what is printed. Workers inherit it."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003
