"""What no output may tell: tests plant it in titles, descriptions and passwords."""

PLANTED = "planted"


def assert_untold(output: str) -> None:
    told = [line for line in output.splitlines() if PLANTED in line]
    assert not told, told
