"""The real program on a terminal: what it switched on is off again, however it ends; and nothing but ASCII in basic."""

from __future__ import annotations

import re
import signal

import pytest

from tests.on_terminal import APP, OnTerminal
from tests.pictures.scenes import FARM

#: Modes that are set with `h` and reset with `l`, DEC's and the terminal's own.
_MODE = re.compile(rb"\x1b\[(\?[0-9]+)([hl])")
TERMINALS = ("linux", "vt220", "xterm-256color")
NOWHERE = [*APP, "--connect", "/nowhere/qrmd.sock"]
WELCOME = "No openQRM server answers here"


def left_on(sent: bytes) -> dict[bytes, bytes]:
    """Modes that are not as they were: all are off at first but wrapping and the cursor."""
    first = {b"?7": b"h", b"?25": b"h"}
    last = dict(_MODE.findall(sent))
    return {mode: state for mode, state in last.items() if state != first.get(mode, b"l")}


def last_look(sent: bytes) -> bytes:
    """The attributes and colours that what follows on the terminal would have."""
    return re.findall(rb"\x1b\[([0-9;]*)m", sent)[-1]


@pytest.mark.parametrize("term", TERMINALS)
@pytest.mark.parametrize("how", ["q", "SIGTERM", "SIGHUP"])
def test_the_terminal_is_as_it_was(term: str, how: str) -> None:
    with OnTerminal(NOWHERE, term=term) as terminal:
        terminal.wait_for(WELCOME, "quit")
        assert terminal.now != terminal.modes, "keys are read one by one"
        if how == "q":
            terminal.type("q")
        else:
            terminal.signal(signal.Signals[how])
        assert terminal.wait() == 0
        assert terminal.now == terminal.modes
        sent = bytes(terminal.sent)
    assert not left_on(sent)
    assert last_look(sent) in (b"", b"0")
    assert sent.count(b"\x1b[>") == sent.count(b"\x1b[<u"), "keys as kitty tells them"
    if term != "xterm-256color":
        assert terminal.screen().strip() == ""
        assert set(_MODE.findall(sent)) <= {(b"?7", b"l"), (b"?7", b"h"), (b"?25", b"l"), (b"?25", b"h"),
                                            (b"?2004", b"h"), (b"?2004", b"l")}, "it is asked for no more"
        assert b"$p" not in sent and b"\x1b[>" not in sent


@pytest.mark.parametrize("term", TERMINALS)
def test_ended_before_it_has_begun_it_leaves_nothing_behind(term: str) -> None:
    with OnTerminal(NOWHERE, term=term) as terminal:
        terminal.wait_until(lambda: bool(terminal.sent), "it sends nothing")
        terminal.signal(signal.SIGTERM)
        assert terminal.wait() == 0
        assert not left_on(bytes(terminal.sent))
        assert terminal.now == terminal.modes


@pytest.mark.parametrize("term", TERMINALS)
def test_a_line_that_is_gone_ends_the_program(term: str) -> None:
    with OnTerminal(NOWHERE, term=term) as terminal:
        terminal.wait_for(WELCOME)
        terminal.hang_up()
        assert terminal.wait_after_hang_up() == 0


def test_into_the_basic_mode_and_back_by_key_and_by_command() -> None:
    with OnTerminal(FARM.command, term="linux") as terminal:
        terminal.press("5")
        terminal.wait_for("[Images]", "customer1")
        for keys, colours in (("\x14", False), ("\x14", True), (":look basic\r", False), (":look mono\r", False),
                              (":look linux\r", True)):
            begun = len(terminal.sent)
            terminal.press(*keys)
            terminal.wait_until(lambda begun=begun: b"\x1b[?25l" in terminal.sent[begun:], "it is not started anew")
            started = terminal.sent.index(b"\x1b[?25l", begun)
            terminal.wait_for("[Images]", "customer1", "fill")
            sent = bytes(terminal.sent[started:])
            assert (b"46m" in sent) is colours, keys
        terminal.press("q")
        assert terminal.wait() == 0
        assert not left_on(bytes(terminal.sent))
        assert terminal.now == terminal.modes


def test_what_another_program_wrote_on_the_screen_goes_with_ctrl_l() -> None:
    for term in ("linux", "vt220"):
        with OnTerminal(NOWHERE, term=term) as terminal:
            terminal.wait_for(WELCOME)

            def written(terminal: OnTerminal = terminal) -> bool:
                """The program may be painting for the first time, over it."""
                terminal.scribble("\x1b[3;3H*** system message ***")
                return "*** system" in terminal.screen()

            terminal.wait_until(written, "nothing can be written")
            terminal.type("\x0c")
            terminal.wait_until(lambda terminal=terminal: "*** system" not in terminal.screen(), "it is still there")
            terminal.wait_for(WELCOME)


def test_basic_mode_sends_nothing_but_ascii_on_any_screen() -> None:
    with OnTerminal(FARM.command, term="vt100") as terminal:
        for scene in FARM.scenes:
            terminal.press(*scene.keys)
            if scene.seen not in terminal.screen():
                terminal.wait_for(scene.seen)
        assert terminal.wait() == 0
        sent = bytes(terminal.sent)
    assert not [byte for byte in set(sent) if byte > 0x7E]
    known = rb"\x1b\[(\?(7|25|2004)[hl]|[0-9;]*[HCKJm])"
    assert b"\x1b" not in re.sub(known, b"", sent)
