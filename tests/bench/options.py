"""What can be chosen on the command line."""

import argparse
from dataclasses import dataclass

from tests.bench.operations import OPERATIONS
from tests.bench.servers import SERVERS

PARTS = ("beside", "distance", "scale", "size", "workers", "profile")


@dataclass(frozen=True)
class Options:
    parts: tuple[str, ...]
    servers: tuple[str, ...]
    operations: tuple[str, ...]
    rounds: int
    seconds: float
    connections: int
    workers: int
    delay_ms: float
    write: bool

    @classmethod
    def parse(cls) -> "Options":
        parser = argparse.ArgumentParser(
            prog='make bench BENCH="…"', formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to measure; `beside` if not given")
        parser.add_argument("--servers", type=_names, default=tuple(server.name for server in SERVERS))
        parser.add_argument("--operations", type=_names, default=tuple(OPERATIONS))
        parser.add_argument("--rounds", type=int, default=15, help="how often each is loaded in turn")
        parser.add_argument("--seconds", type=float, default=0.5, help="how long each time")
        parser.add_argument("--connections", type=int, default=32, help="of the load")
        parser.add_argument("--workers", type=int, default=1, help="of each server")
        parser.add_argument("--delay-ms", type=float, default=0, help="each way, between servers and database")
        parser.add_argument("--write", action="store_true", help="into docs/; all parts if none is given")
        chosen = vars(parser.parse_args())
        chosen["parts"] = tuple(chosen["parts"]) or (PARTS if chosen["write"] else PARTS[:1])
        return cls(**chosen)


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))
