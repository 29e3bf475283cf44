"""This machine."""
from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence

from qrm_tui.core.errors import StepFailed
from qrm_tui.runners.base import MOST_OUTPUT, SHORT, Completed, OnLine
from qrm_tui.runners.command import CommandRunner
from qrm_tui.runners.lines import collect


class LocalRunner(CommandRunner):
    """Commands as children of qrmd."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def run(self, argv: Sequence[str], *, input: str = "", seconds: float = SHORT,
                  on_line: OnLine | None = None) -> Completed:
        try:
            # a group of its own, so that all of it can be ended; C: words that parsers know
            process = await asyncio.create_subprocess_exec(
                *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                start_new_session=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
        except FileNotFoundError:
            return Completed(127, "", f"{argv[0]}: not found on {self.name}")
        assert process.stdin and process.stdout and process.stderr
        try:
            async with asyncio.timeout(seconds or None):
                out, err, _ = await asyncio.gather(
                    collect(process.stdout, "out", on_line, MOST_OUTPUT),
                    collect(process.stderr, "err", on_line, MOST_OUTPUT), self._feed(process.stdin, input))
                status = await process.wait()
        except TimeoutError:
            raise StepFailed(f"{argv[0]} on {self.name} did not end within {seconds:.0f} s") from None
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
        return Completed(status, out, err)

    @staticmethod
    async def _feed(stdin: asyncio.StreamWriter, text: str) -> None:
        try:
            stdin.write(text.encode())
            await stdin.drain()
            stdin.close()
        except (BrokenPipeError, ConnectionResetError):
            pass  # it ended without reading; its exit status says what that means
