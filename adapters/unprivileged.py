"""The account that PostgreSQL runs as if root starts it, since it refuses to run as root."""

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
    identity: dict[str, Any]
    """In the arguments of `subprocess`; empty for this user."""

    @classmethod
    def for_data(cls, folder: Path) -> "Account":
        """This user; for root the owner of the data, or nobody if there are none."""
        if os.geteuid() != 0:
            return cls({})
        nobody = pwd.getpwnam("nobody")
        owner = folder.stat().st_uid if folder.is_dir() else 0
        return cls({"user": owner or nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": ()})

    def has_name(self) -> bool:
        try:
            pwd.getpwuid(self.identity.get("user", os.geteuid()))
        except KeyError:
            return False
        return True

    def own(self, folder: Path) -> None:
        """Makes it the folder's owner."""
        if self.identity:
            os.chown(folder, self.identity["user"], -1)

    def may_enter(self, folder: Path) -> bool:
        return not self.identity or self.run(["test", "-x", folder], cwd=Path("/")).returncode == 0

    def run(self, command: Sequence[str | Path], cwd: Path) -> subprocess.CompletedProcess[str]:
        """Runs it in a session of its own: Ctrl-C is not meant for it."""
        return subprocess.run(  # noqa: S603 - a program of the wheel
            command, cwd=cwd, check=False, capture_output=True, text=True, start_new_session=True, **self.identity
        )


def default_folder(checkout: Path) -> Path:
    """`.taskward` in the checkout; for root a folder below /var/lib if nobody else can enter the checkout."""
    usual = checkout / ".taskward"
    is_open = Account.for_data(usual / "postgres").may_enter(checkout)
    return usual if is_open else FOLDER_FOR_ROOT.joinpath(*checkout.resolve().parts[1:])
