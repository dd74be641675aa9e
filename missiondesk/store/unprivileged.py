"""Runs, as a system user, a program that refuses to run as root; opens no directory to others for it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path

from models.errors import InvalidSetting

SYSTEM_USER = "missiondesk"

# Tried in this order: what lets the program through directories that are closed to its user.
_CAPABILITIES = (None, "dac_read_search", "dac_override")


def give_to_system_user(directory: Path) -> None:
    """As root, make `directory` the system user's own, unless it already belongs to someone else."""
    if os.geteuid() == 0 and directory.stat().st_uid == 0:
        user = _system_user()
        os.chown(directory, user.pw_uid, user.pw_gid)


def command_prefix(program: Path, directory: Path) -> tuple[str, ...]:
    """What to put before a command line so that `program` runs as the owner of `directory`; () unless root.

    Raises InvalidSetting when that user can neither reach the program nor write to the directory.
    """
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise InvalidSetting(
            "PostgreSQL does not run as root, and the program setpriv (package util-linux) is missing: "
            "install it, run as another user, or set MISSIONDESK_DATABASE_URL"
        )
    owner = directory.stat()
    for capability in _CAPABILITIES:
        granted = "-all" if capability is None else f"-all,+{capability}"
        prefix = (
            setpriv,
            f"--reuid={owner.st_uid}",
            f"--regid={owner.st_gid}",
            "--clear-groups",
            "--no-new-privs",
            f"--inh-caps={granted}",
            f"--ambient-caps={granted}",
        )
        probe = ("sh", "-c", 'test -w "$1" && "$2" --version', "sh", str(directory), str(program))
        if subprocess.run([*prefix, *probe], capture_output=True, cwd="/", check=False).returncode == 0:
            return prefix
    raise InvalidSetting(
        f"PostgreSQL does not run as root, and the user with id {owner.st_uid} can't run {program} "
        f"in {directory}: run as another user, or set MISSIONDESK_DATABASE_URL"
    )


def _system_user() -> pwd.struct_passwd:
    deadline = time.monotonic() + 10
    while True:
        try:
            return pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            pass
        made = subprocess.run(
            ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER],
            capture_output=True,
            text=True,
            check=False,
        )
        # useradd gives up at once when another one holds its lock
        if made.returncode != 0 and time.monotonic() > deadline:
            raise InvalidSetting(
                f"PostgreSQL does not run as root, and the user {SYSTEM_USER} could not be made "
                f"({made.stderr.strip()}): make it, run as another user, or set MISSIONDESK_DATABASE_URL"
            )
        if made.returncode != 0:
            time.sleep(0.1)
