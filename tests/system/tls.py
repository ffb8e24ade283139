"""Runs a PostgreSQL that requires TLS and a password. The embedded one is built without OpenSSL."""

import contextlib
import getpass
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.planted import PLANTED

PASSWORD = f"{PLANTED}-password"
HOST = "db.taskward.test"
_CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
port = {port}
ssl = on
ssl_cert_file = '{folder}/server.crt'
ssl_key_file = '{folder}/server.key'
fsync = off
"""


class TlsServer(NamedTuple):
    url: str
    """Verifies the certificate and binds the login to it (channel binding)."""
    authority: Path
    stranger: Path
    """An authority that has not signed the server's certificate."""


def programs() -> Path | None:
    """Return the folder of the newest PostgreSQL's programs on this machine."""
    usual = shutil.which("postgres")
    found = [*Path("/usr/lib/postgresql").glob("*/bin/postgres"), *([Path(usual)] if usual else [])]
    return max((program.parent for program in found), default=None)


@contextlib.contextmanager
def tls_postgres(programs: Path) -> Iterator[TlsServer]:
    with tempfile.TemporaryDirectory(prefix="tls-") as name:
        folder, data = Path(name), Path(name, "data")
        owner = "postgres" if getpass.getuser() == "root" else None  # PostgreSQL refuses to run as root

        def run(*command: str | Path) -> None:
            subprocess.run(command, cwd=folder, user=owner, check=True, capture_output=True)

        if owner:
            shutil.chown(folder, owner)
        Path(folder, "password").write_text(PASSWORD)
        Path(folder, "password").chmod(0o644)
        run(programs / "initdb", "-D", data, "-U", "guest", "--pwfile", folder / "password", "--no-sync")
        for authority in ("authority", "stranger"):
            run(*_certificate(authority))
        run(
            *_certificate("server"),
            "-CA",
            "authority.crt",
            "-CAkey",
            "authority.key",
            "-addext",
            f"subjectAltName=DNS:{HOST}",
        )
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        with Path(data, "postgresql.conf").open("a") as configuration:
            configuration.write(_CONFIGURATION.format(port=port, folder=folder))
        Path(data, "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        run(programs / "pg_ctl", "-D", data, "-l", folder / "log", "-w", "start")
        try:
            yield TlsServer(
                f"postgresql://guest:{PASSWORD}@{HOST}:{port}/postgres?hostaddr=127.0.0.1"
                f"&sslmode=verify-full&sslrootcert={folder}/authority.crt&channel_binding=require",
                folder / "authority.crt",
                folder / "stranger.crt",
            )
        finally:
            run(programs / "pg_ctl", "-D", data, "-m", "immediate", "stop")


def _certificate(name: str) -> list[str]:
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key"]
    return ["openssl", "req", "-x509", *key, "-out", f"{name}.crt", "-days", "2", "-subj", f"/CN={name}"]
