"""Two charts in one SVG: operations per second of CPU side by side, and latency against the distance to the database.

It has no background and takes greys that can be read on white and on black, so that it fits either theme.
"""

from collections.abc import Iterator, Sequence
from math import ceil, log10

WIDTH, HEIGHT = 900, 340
TOP, BOTTOM = 66, 290
COLOURS = {"Taskward": "#0969da", "floor": "#8c959f", "Fastify": "#8250df", "FastAPI": "#bf8700", "Django": "#2da44e"}
STYLE = "text{font:13px system-ui,sans-serif;fill:#768390}.title{font-weight:600}.axis{stroke:#768390;opacity:.35}"


def draw(rates: dict[str, dict[str, float]], latencies: dict[str, dict[str, float]]) -> str:
    """`rates` per second by operation and server, `latencies` in milliseconds by server and distance."""
    body = "\n".join([*_legend(list(next(iter(rates.values())))), *_bars(rates, 50, 500), *_lines(latencies, 590, 880)])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">\n'
        f"<title>Operations per second of CPU, and latency by distance to the database</title>\n"
        f"<style>{STYLE}</style>\n{body}\n</svg>\n"
    )


def _legend(servers: Sequence[str]) -> Iterator[str]:
    for number, server in enumerate(servers):
        x = 50 + 90 * number
        yield f'<rect x="{x}" y="{HEIGHT - 18}" width="11" height="11" rx="2" fill="{COLOURS[server]}"/>'
        yield _text(x + 16, HEIGHT - 8, server)


def _bars(rates: dict[str, dict[str, float]], left: int, right: int) -> Iterator[str]:
    yield _text(left, 24, "Operations per second of CPU", "title")
    yield _text(left, 42, "what one worker does on a core that nothing else holds up")
    top = max(max(group.values()) for group in rates.values())
    yield from _grid(left, right, top)
    group_width = (right - left) / len(rates)
    for group, (operation, by_server) in enumerate(rates.items()):
        width = (group_width - 16) / len(by_server)
        for place, (server, rate) in enumerate(by_server.items()):
            x, y = left + 8 + group * group_width + place * width, _height(rate, top)
            yield (
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{width - 2:.1f}" height="{BOTTOM - y:.1f}" rx="1.5"'
                f' fill="{COLOURS[server]}"><title>{server}, {operation}: {rate:,.0f}/s</title></rect>'
            )
        yield _text(left + (group + 0.5) * group_width, BOTTOM + 18, operation, anchor="middle")


def _lines(latencies: dict[str, dict[str, float]], left: int, right: int) -> Iterator[str]:
    yield _text(left, 24, "p50 of a read, in ms", "title")
    yield _text(left, 42, "by ms to the database, each way")
    top = max(max(by_distance.values()) for by_distance in latencies.values())
    yield from _grid(left, right, top)
    distances = [float(distance) for distance in next(iter(latencies.values()))]
    scale = (right - left - 16) / max(distances)
    for server, by_distance in latencies.items():
        points = [
            (left + 8 + scale * float(distance), _height(latency, top)) for distance, latency in by_distance.items()
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        yield f'<polyline points="{path}" fill="none" stroke="{COLOURS[server]}" stroke-width="2.5"/>'
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{COLOURS[server]}"/>' for x, y in points)
    for distance in distances:
        yield _text(left + 8 + scale * distance, BOTTOM + 18, f"{distance:g}", anchor="middle")


def _grid(left: int, right: int, top: float) -> Iterator[str]:
    step = 10 ** ceil(log10(top) - 1)
    step = step / 2 if top / step < 3 else step * 2 if top / step > 6 else step
    for number in range(int(top / step) + 1):
        y = _height(number * step, top)
        yield f'<line class="axis" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield _text(left - 6, y + 4, f"{number * step:,g}", anchor="end")


def _height(value: float, top: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * value / top


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{text}</text>'
