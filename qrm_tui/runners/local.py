"""This machine."""
from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from typing import Any

from qrm_tui.core.errors import StepFailed
from qrm_tui.runners import tree
from qrm_tui.runners.base import MOST_OUTPUT, SHORT, Completed, OnLine
from qrm_tui.runners.command import CommandRunner
from qrm_tui.runners.lines import collect

#: Edits that are made by qrmd itself; more of them would slow down all else in it.
_MOST_EDITS = 64


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

    async def edit_tree(self, root: str, edits: Sequence[dict[str, Any]]) -> list[str]:
        if len(edits) > _MOST_EDITS:
            return await super().edit_tree(root, edits)
        try:
            # a Python of its own takes longer to start than a few edits take
            changed: list[str] = await asyncio.to_thread(tree.edit, root, edits)
        except OSError as error:
            raise StepFailed(f"{root} on {self.name} cannot be edited: {error.filename or root}: {error.strerror}"
                             ) from None
        return changed

    @staticmethod
    async def _feed(stdin: asyncio.StreamWriter, text: str) -> None:
        try:
            stdin.write(text.encode())
            await stdin.drain()
            stdin.close()
        except (BrokenPipeError, ConnectionResetError):
            pass  # it ended without reading; its exit status says what that means
