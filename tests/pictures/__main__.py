"""Pictures of every screen on a real virtual terminal: `make pictures`, or

    python -m tests.pictures [FOLDER] [--only TEXT] [--look LOOK]...

The app runs here, on a pseudo-terminal of the console's size with TERM=linux; what it sends is shown by the console of
a machine in QEMU, in the kernel's font and in Terminus, and photographed: FOLDER/CONSOLE-FONT-[LOOK-]SCENE.png. Nothing
is asserted but that the screens were reached and that the fonts have our glyphs; look at the pictures.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.on_terminal import OnTerminal
from tests.pictures.console_machine import CONSOLES, FONTS, Console, ConsoleMachine
from tests.pictures.scenes import PROGRAMS, Program


def record(program: Program, console: Console, options: list[str]) -> dict[str, bytes]:
    """Scene → what is sent from the one before to it."""
    pieces: dict[str, bytes] = {}
    with OnTerminal([*program.command, *options], term="linux", size=console.size) as terminal:
        done = 0
        for scene in program.scenes:
            terminal.press(*scene.keys)
            if scene is program.scenes[-1] and not scene.seen:
                terminal.wait()
            else:
                terminal.wait_for(scene.seen)
            pieces[f"{program.name}-{scene.name}"] = bytes(terminal.sent[done:])
            done = len(terminal.sent)
    return pieces


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.pictures")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("build/pictures"))
    parser.add_argument("--only", metavar="TEXT", default="", help="consoles and fonts with this in CONSOLE-FONT")
    parser.add_argument("--look", action="append", metavar="LOOK", help="instead of what the terminal gets by itself")
    asked = parser.parse_args()
    folder = asked.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for console in CONSOLES:
        wanted = [font for font in FONTS if asked.only in f"{console.name}-{font}"]
        if not wanted:
            continue
        for look in asked.look or [""]:
            options = ["--look", look] if look else []
            pieces: dict[str, bytes] = {}
            for program in PROGRAMS:
                pieces |= record(program, console, options)
            with tempfile.TemporaryDirectory(prefix="qrm-pictures-") as scratch, \
                    ConsoleMachine(Path(scratch), console, pieces) as machine:
                for font in wanted:
                    machine.load(font)
                    for name in pieces:
                        machine.show(name)
                        file = folder / "-".join(filter(None, (console.name, font, look, f"{name}.png")))
                        machine.photograph(file)
                        print(file, flush=True)


if __name__ == "__main__":
    main()
