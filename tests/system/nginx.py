"""Runs nginx as a proxy, in a temporary folder."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_GUIDE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
_TWO_INSTANCES: str = re.findall(r"^```nginx\n(upstream .+?)^```", _GUIDE, re.DOTALL | re.MULTILINE)[0]
_CONFIGURATION = """
daemon off;
pid {folder}/pid;
error_log stderr crit;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {http}
}}
"""


def two_instances(one: int, other: int, *, prefix: str = "/") -> str:
    """Return the guide's configuration for instances at these ports, below this path."""
    configuration = _TWO_INSTANCES.replace("8001", str(one)).replace("8002", str(other))
    return configuration.replace("location /", f"location {prefix}").replace("http://taskward;", "http://taskward/;")


@contextlib.contextmanager
def nginx(http: str) -> Iterator[str]:
    """Run nginx with this text in its `http` block and a free port instead of the documents' 8080. Yields its URL."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if program is None:
        pytest.skip("there is no nginx here: apt-get install nginx")
    listener = socket.create_server(("127.0.0.1", 0))  # nginx inherits this socket, as in an upgrade of nginx
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    with tempfile.TemporaryDirectory(prefix="nginx-") as folder:
        Path(folder).chmod(0o755)  # nginx's workers must enter it if this runs as root
        Path(folder, "users").write_text("alice:{PLAIN}secret\n")
        configuration = Path(folder, "nginx.conf")
        configuration.write_text(_CONFIGURATION.format(folder=folder, http=http.replace("127.0.0.1:8080", address)))
        with listener:
            process = subprocess.Popen(
                [program, "-q", "-p", folder, "-c", str(configuration)],
                pass_fds=[listener.fileno()],
                env=os.environ | {"NGINX": f"{listener.fileno()};"},
            )
        try:
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait()
