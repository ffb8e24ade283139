"""The account under which PostgreSQL runs. It refuses to run as root, so root starts it as somebody else."""

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER_FOR_ROOT: Final = Path("/var/lib/taskward")


@dataclass(frozen=True)
class Account:
    credentials: dict[str, Any]
    """Arguments of `subprocess` that select the account; empty for the current user."""

    @classmethod
    def for_data(cls, folder: Path) -> "Account":
        """Return the current user; for root, the owner of `folder`, or the user `nobody` if there is no folder yet."""
        if os.geteuid() != 0:
            return cls({})
        nobody = pwd.getpwnam("nobody")
        owner = folder.stat().st_uid if folder.is_dir() else 0
        return cls({"user": owner or nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": ()})

    def has_name(self) -> bool:
        try:
            pwd.getpwuid(self.credentials.get("user", os.geteuid()))
        except KeyError:
            return False
        return True

    def chown(self, folder: Path) -> None:
        """Give the folder to this account."""
        if self.credentials:
            os.chown(folder, self.credentials["user"], -1)

    def may_enter(self, folder: Path) -> bool:
        return not self.credentials or self.run(["test", "-x", folder], cwd=Path("/")).returncode == 0

    def run(self, command: Sequence[str | Path], cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run the command in a session of its own, so that Ctrl-C does not reach it."""
        return subprocess.run(  # noqa: S603 - a program of the wheel
            command, cwd=cwd, check=False, capture_output=True, text=True, start_new_session=True, **self.credentials
        )


def default_data_folder(checkout: Path) -> Path:
    """Return `.taskward` in the checkout, or a folder below /var/lib/taskward if only root can enter the checkout."""
    usual = checkout / ".taskward"
    is_open = Account.for_data(usual / "postgres").may_enter(checkout)
    return usual if is_open else FOLDER_FOR_ROOT.joinpath(*checkout.resolve().parts[1:])
