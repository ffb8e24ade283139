"""The README's session, word for word, against a running service."""

import re
import subprocess
from pathlib import Path

from tests.system.service import serving

README = (Path(__file__).parents[2] / "README.md").read_text()
ADDRESS = "http://127.0.0.1:8000"
VOLATILE = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z"), "TIME"),
    (re.compile(r'"request_id":"[0-9a-f]{32}"'), "REQUEST"),
)


def steady(answer: str) -> str:
    for pattern, word in VOLATILE:
        answer = pattern.sub(word, answer)
    return answer.strip()


def test_the_first_session_answers_as_written(database_url: str) -> None:
    session = re.findall(r"^```console\n\$ (.+?)\n(.+?)^```", README, re.DOTALL | re.MULTILINE)
    assert len(session) >= 3
    shown = VOLATILE[0][0].findall(README)[0]
    given = shown
    with serving(database_url) as (_, client):
        for written, expected in session:
            command = written.replace(ADDRESS, str(client.base_url).rstrip("/")).replace(shown, given)
            done = subprocess.run(command, shell=True, capture_output=True, check=True, text=True)  # noqa: S602 - as printed
            assert steady(done.stdout) == steady(expected)
            given = VOLATILE[0][0].findall(done.stdout)[0]
