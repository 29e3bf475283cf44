"""A customer's system on a machine of the rack, as somebody who logs in there sees it."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from tests.lab.namespace import Namespace
from tests.services.command_line import until

PATIENCE = 120.0
"""Seconds until a system that is up has to let somebody in; its sshd starts a little after the agent."""


class System:
    """Root's ssh login at `address`. The host key is not known before: each clone makes its own."""

    def __init__(self, namespace: Namespace, address: str, key: Path) -> None:
        self._namespace = namespace
        self._address = address
        self._key = key

    def ssh(self, *argv: str) -> str:
        """What ARGV prints there; waits for sshd. An AssertionError where the command fails."""
        done: list[subprocess.CompletedProcess[str]] = []

        def answered() -> bool:
            done[:] = [self._try(*argv)]
            return done[0].returncode != 255  # of ssh itself

        until(f"ssh to {self._address} answers", answered, PATIENCE)
        assert done[0].returncode == 0, f"{shlex.join(argv)}: {done[0].stdout}{done[0].stderr}"
        return done[0].stdout

    def _try(self, *argv: str) -> subprocess.CompletedProcess[str]:
        options = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR",
                   "ConnectTimeout=5", "IdentitiesOnly=yes")  # fmt: skip
        words = [word for option in options for word in ("-o", option)]
        command = ["ssh", "-F", "none", "-T", "-i", str(self._key), *words, f"root@{self._address}", shlex.join(argv)]
        return self._namespace.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
