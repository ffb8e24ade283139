"""A marker that no output may contain: tests plant it in titles, descriptions and passwords."""

PLANTED = "planted"


def assert_nothing_planted(output: str) -> None:
    lines = [line for line in output.splitlines() if PLANTED in line]
    assert not lines, lines
