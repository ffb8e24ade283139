"""`make bench`: Taskward beside a floor and its peers, on this machine."""

import sys
from importlib import import_module

from tests.bench.options import Options
from tests.bench.page import write
from tests.bench.report import Finding


def main() -> None:
    options = Options.parse()
    found: dict[str, Finding] = {}
    for part in options.parts:
        found[part] = import_module(f"tests.bench.{part}").measure(options)
        sys.stdout.write(f"\n## {part}\n\n{found[part].text}\n")
        sys.stdout.flush()
    if options.write:
        write(found)


main()
