"""Streams for terminals: what machines print, and what a hostile one would."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from qrm_tui.terminal.bittty_emulator import BitttyEmulator
from qrm_tui.terminal.looks import text_of

_MESSAGES = (
    "usb 1-1: new high-speed USB device number 2 using xhci_hcd", "systemd[1]: Reached target sysinit.target.",
    "EXT4-fs (sda1): mounted filesystem with ordered data mode. Quota mode: none. Errors: continue.",
    "e1000e 0000:00:19.0 eth0: (PCI Express:2.5GT/s:Width x1) 00:1e:67:aa:bb:cc, registered PHC clock, MSI enabled",
    "random: crng init done", "clocksource: Switched to clocksource tsc",
)
_WORDS = ("active", "idle", "error", "xen", "kvm", "10.0.0.7", "52:54:00:77", "netboot", "customer1", "running")
#: Pieces that sequences are made of, and some that ask for much.
_PIECES = (
    b"\x1b[", b"\x1b]0;", b"\x1b]52;c;", b"\x1bP", b"\x1b_", b"\x1b^", b"\x1bX", b"\x1b\\", b"\x07", b"\x18", b"\x1b",
    b"\x9b", b"\xc2\x9b", b"\xc2\x9d", b"?1049h", b"?1049l", b"?47h", b"?3h", b"?40h", b"?69h", b"?2l", b"?7l", b"4h",
    b"999999999", b"9" * 5000, b";" * 300, b":" * 50, b"H", b"J", b"K", b"m", b"r", b"@", b"P", b"L", b"M", b"X", b"b",
    b"S", b"T", b"8;9999;9999t", b"22t", b"23t", b"1$r", b"!z414141", b"*z", b"$x", b"\x1b(0", b"\x1b)0", b"\x0e",
    b"\x0f", b"\x1b#8", b"\x1b#6", b"\x1bc", b"\x1b7", b"\x1b8", b"\x1bM", b"\x1bD", b"\x1bE", b"\x1bH", b"\r\n", b"\n",
    b"\r", b"\b", b"\t", b"\x0b", b"38;5;", b"48;2;1;2;3", b"38:2::1:2:3", "漢字".encode(), "e\u0301".encode(),
    "\u200d\u200d".encode(), "\u202e".encode(), "\u0301".encode() * 40, "😀".encode(), b"\xff\xfe", b"\xe6\xbc", b"4i",
    b"?5i", b"5n", b"6n", b"c", b">c", "²".encode(), "٣".encode(), b"text ", b"x" * 200, b"login: ",
)


def _stream(parts: Callable[[random.Random], Iterator[str]]) -> Callable[..., bytes]:
    """A stream of `size` bytes or a little more, of parts that never end; the same for the same seed."""

    @functools.wraps(parts)
    def made(size: int, seed: int = 1) -> bytes:
        taken, length = [], 0
        for part in parts(random.Random(seed)):
            taken.append(part)
            length += len(part)
            if length >= size:
                break
        return "".join(taken).encode()

    return made


@_stream
def boot(chance: random.Random) -> Iterator[str]:
    """A kernel's and systemd's messages."""
    at = 0.0
    while True:
        at += chance.random() / 20
        if chance.random() < 0.2:
            yield f"[\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39munit-{chance.randrange(99)}.service\x1b[0m.\r\n"
        else:
            yield f"[{at:12.6f}] {chance.choice(_MESSAGES)}\r\n"


@_stream
def coloured(chance: random.Random) -> Iterator[str]:
    """Words that each have a colour of their own, of 16, of 256 or of all."""
    while True:
        words = []
        for _ in range(chance.randrange(6, 12)):
            colour = chance.choice((f"1;3{chance.randrange(8)}", f"0;9{chance.randrange(8)}",
                                    f"38;5;{chance.randrange(256)}",
                                    "38;2;" + ";".join(str(chance.randrange(256)) for _ in range(3))))
            words.append(f"\x1b[{colour}m{chance.choice(_WORDS)}\x1b[0m ")
        yield "".join(words) + "\r\n"


@_stream
def repainting(chance: random.Random) -> Iterator[str]:
    """A program that paints its whole screen of 24 rows again and again, as top does."""
    while True:
        lines = [f"\x1b(B\x1b[m{chance.randrange(99999):7d} root  20   0 {chance.randrange(9999999):8d} "
                 f"{chance.random() * 100:5.1f} worker/{chance.randrange(9)}\x1b(B\x1b[m\x1b[39;49m\x1b[K"
                 for _ in range(22)]
        yield ("\x1b[?25l\x1b[H\x1b[7m    PID USER      COMMAND\x1b(B\x1b[m\x1b[K\r\n" + "\r\n".join(lines)
               + "\x1b[J\x1b[?25h")


@_stream
def paging(chance: random.Random) -> Iterator[str]:
    """A program on the alternate screen that puts words where its cursor goes, with backgrounds and boxes."""
    yield "\x1b[?1049h\x1b[H\x1b[2J"
    while True:
        row, column = chance.randrange(1, 25), chance.randrange(1, 70)
        kind = chance.randrange(5)
        if kind == 0:
            yield f"\x1b[{row};{column}H\x1b[3{chance.randrange(8)};44m{chance.choice(_WORDS):12}\x1b[m"
        elif kind == 1:
            yield f"\x1b[{row};1H\x1b[7m{chance.choice(_MESSAGES):.60}\x1b[K\x1b[27m"
        elif kind == 2:
            yield f"\x1b[{row}d\x1b[{column}G\x1b(0{'q' * chance.randrange(9)}x\x1b(B"
        elif kind == 3:
            yield f"\x1b[{row};{column}H\x1b[30;46m\x1b[K{chance.choice(_WORDS)}\x1b[39;49m\r\n"
        else:
            yield f"\x1b[2;23r\x1b[23;1H\n{chance.choice(_MESSAGES)}\x1b[r"


@_stream
def monitor(chance: random.Random) -> Iterator[str]:
    """Meters, a table and a window as curses writes them: what differs, by rows, columns, ECH, REP and line drawing."""
    off = "\x1b[39;49m\x1b(B\x1b[m"
    yield "\x1b[?1049h\x1b[1;24r\x1b(B\x1b[m\x1b[4l\x1b[?7h\x1b[?25l\x1b[H\x1b[2J"
    while True:
        for row in range(1, 5):
            load = chance.randrange(24)
            yield (f"\x1b[{row};7H\x1b[32m{'|' * load}\x1b[31m||{off}{' ' * (24 - load)}"
                   f"\x1b[{row};37H\x1b(B\x1b[0;2m{chance.random() * 100:4.1f}{off}")
        for row in range(6, 25):
            kind, cpu = chance.randrange(6), chance.random() * 100
            table = f"{chance.randrange(99999):5} www-data  {cpu:4.1f} {chance.random() * 9:4.1f}  {cpu:08.2f} "
            if kind < 3:
                yield f"\r\x1b[{row}d{table}\x1b[32m{chance.choice(_MESSAGES):.34}{off}\x1b[K"
            elif kind < 5:
                yield f"\r\x1b[{row}d{table[:5]}\x1b[{row};18H{cpu:4.1f}\x1b[28G{cpu:08.2f}"
            else:
                yield f"\r\x1b[{row}d\x1b[30m\x1b[46m{table}{chance.choice(_WORDS)}\x1b[24X{off}"
        if chance.random() < 0.1:
            yield "\x1b[8;20H\x1b(0lq\x1b[37bk\x1b(B"
            yield from (f"\x1b[{row};20H\x1b(0x\x1b(B\x1b[38X\x1b[38C\x1b(0x\x1b(B" for row in range(9, 13))
            yield "\x1b[13;20H\x1b(0mq\x1b[37bj\x1b(B\x1b[10;24H\x1b[7m<Ok>\x1b[27m\x1b[?25h\x1b[?25l"


@_stream
def editing(chance: random.Random) -> Iterator[str]:
    """What vim really sent to two kinds of terminals: pages, lines inserted, words found, windows."""
    fixtures = Path(__file__).parent.parent / "fixtures"
    while True:
        for terminal in ("xterm-256color", "linux"):
            yield (fixtures / f"vim-{terminal}.bin").read_bytes().decode()


@_stream
def listing(chance: random.Random) -> Iterator[str]:
    """What a shell and its programs print: prompts, tabs, colours with EL behind them, long lines, pages cleared."""
    while True:
        kind = chance.randrange(6)
        if kind == 0:
            yield f"\x1b[01;32mroot@r1\x1b[00m:\x1b[01;34m/srv\x1b[00m# ls {chance.choice(_WORDS)}\r\n"
        elif kind == 1:
            yield f"{chance.choice(_WORDS)}\t{chance.randrange(99999)}\t{chance.choice(_MESSAGES)}\r\n"
        elif kind == 2:
            yield f"file:{chance.randrange(99)}:\x1b[01;31m\x1b[K{chance.choice(_WORDS)}\x1b[m\x1b[K found\r\n"
        elif kind == 3:
            yield f"\x1b[35m{' '.join(chance.choices(_WORDS, k=30))}\r\n\x1b[4m{chance.choice(_WORDS)}\x1b[0m\r\n"
        elif kind == 4 and chance.random() < 0.1:
            yield "\x1b[H\x1b[2J"
        else:
            yield f"{chance.randrange(100):3}% [{'#' * chance.randrange(60):60}]\r"


def hostile(size: int, seed: int) -> Iterator[bytes]:
    """Chunks of pieces and of ordinary output, mutated, in all `size` bytes or a little more."""
    chance = random.Random(seed)
    ordinary = boot(20_000, seed) + coloured(20_000, seed) + repainting(20_000, seed)
    done = 0
    while done < size:
        if chance.random() < 0.6:
            chunk = bytearray(b"".join(chance.choice(_PIECES) for _ in range(chance.randrange(1, 400))))
        else:
            start = chance.randrange(len(ordinary))
            chunk = bytearray(ordinary[start:start + chance.randrange(1, 8000)])
        for _ in range(len(chunk) // chance.choice((20, 200, 2000))):
            chunk[chance.randrange(len(chunk))] = chance.randrange(256)
        if chance.random() < 0.05:
            chunk += chance.randbytes(chance.randrange(4000))
        done += len(chunk)
        yield bytes(chunk)


def screen(emulator: BitttyEmulator) -> list[str]:
    """The rows, without what is blank at their ends and below."""
    rows = [text_of(emulator.line(row)) for row in range(emulator.rows)]
    while rows and not rows[-1]:
        rows.pop()
    return rows
