"""The console screen: what is shown, who types, which keys are whose, looking back, paste, break, size."""

from __future__ import annotations

import stat
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.geometry import Region

from qrm_tui.app import arguments
from qrm_tui.core.errors import QrmError
from qrm_tui.screens.console import ConsoleScreen
from qrm_tui.screens.message import Question
from qrm_tui.screens.sysrq import SysRq
from qrm_tui.widgets.keys import Keys
from qrm_tui.widgets.page import Page
from qrm_tui.widgets.terminal import Terminal
from tests.screens.driver import Driver, running
from tests.screens.fake_client import NOW, partition
from tests.screens.fake_console import OURS, ConsoleClient

LEAVE, WATCH = "ctrl+right_square_bracket", "ctrl+circumflex_accent"
ANNA = {"who": "anna", "session": "session-9"}


class Console:
    """A driver on r1's console."""

    def __init__(self, driver: Driver, client: ConsoleClient, screen: ConsoleScreen) -> None:
        self.d, self.client, self.screen = driver, client, screen

    @property
    def terminal(self) -> Terminal:
        return self.screen.terminal

    @property
    def title(self) -> str:
        return self.d.page("#console-title")

    async def say(self, data: bytes | str, at: float = NOW) -> None:
        await self.client.say(data, at)
        await self.d.until(lambda: self.screen._offset == self.client.offset)
        await self.d.pilot.pause()

    async def sees(self, text: str) -> None:
        await self.d.until(lambda: text in self.d.text(), text)


@asynccontextmanager
async def console(client: ConsoleClient | None = None, **options: Any) -> AsyncIterator[Console]:
    client = client or ConsoleClient()
    async with running(client, **options) as d:
        await d.press("2")
        d.app.main.shown.table.show_cursor_on("r1")
        await d.press("s")
        screen = await d.at(ConsoleScreen)
        await d.until(lambda: screen.status is not None)
        await d.pilot.pause()
        yield Console(d, client, screen)


async def test_s_on_a_resource_opens_its_console_and_types_at_once() -> None:
    async with console() as c:
        await c.say("Debian GNU/Linux 12 r1 ttyS0\r\n\r\nr1 login: ")
        await c.sees("r1 login:")
        assert "r1" in c.title and "ipmi-sol" in c.title and "connected" in c.title and "1 watches" in c.title
        await c.d.type("root")
        await c.d.press("enter", "up", "ctrl+c")
        await c.d.until(lambda: bytes(c.client.typed) == b"root\r\x1b[A\x03")
        await c.d.until(lambda: "you type" in c.title)
        assert c.client.asked[0][1]["session"] == OURS


async def test_while_one_types_the_programs_own_keys_are_the_machines() -> None:
    async with console() as c:
        await c.d.press("ctrl+q", "ctrl+p", "tab", "escape", "slash", "q", "pageup", "question_mark", "2")
        await c.d.until(lambda: bytes(c.client.typed) == b"\x11\x10\t\x1b/q\x1b[5~?2")
        assert c.d.app.screen is c.screen
        assert set(c.d.offered()) == {"leave", "stop typing"}


async def test_leave_leaves_and_the_line_is_closed() -> None:
    async with console() as c:
        await c.d.press(LEAVE)
        await c.d.until(lambda: c.d.app.screen is c.d.app.main)


async def test_the_key_that_leaves_can_be_another() -> None:
    async with console() as c:
        c.d.app.set_keymap({"console.always.leave": "ctrl+o"})
        await c.d.press(LEAVE)
        await c.d.until(lambda: bytes(c.client.typed) == b"\x1d")
        await c.d.press("ctrl+o")
        await c.d.until(lambda: c.d.app.screen is c.d.app.main)


@pytest.mark.parametrize("key, good", [("ctrl+o", True), ("f12", True), ("o", False), ("ctrl+m", False)])
def test_which_keys_can_leave(key: str, good: bool) -> None:
    if good:
        assert arguments(["--leave-key", key]).leave_key == key
    else:
        with pytest.raises(SystemExit):
            arguments(["--leave-key", key])


async def test_one_types_and_a_key_takes_the_right_over() -> None:
    client = ConsoleClient()
    client.typist, client.watchers = dict(ANNA), 3
    async with console(client) as c:
        assert "anna types" in c.title and "3 watch" in c.title and not c.terminal.typing
        await c.d.press("x")
        assert not client.typed
        await c.d.press("t")
        await c.d.until(lambda: c.terminal.typing and c.screen.types)
        await c.d.press("x")
        await c.d.until(lambda: bytes(client.typed) == b"x")
        client.typist = dict(ANNA)
        await client.stands()
        await c.d.until(lambda: not c.terminal.typing)
        assert "anna types now" in c.d.said() and "anna types" in c.title


async def test_what_is_refused_is_told_and_the_keys_are_ours_again() -> None:
    client = ConsoleClient()
    client.refuses["input"] = "the console of r1 is not connected"
    async with console(client) as c:
        await c.d.press("x")
        await c.d.until(lambda: "not connected" in c.d.said())
        assert not c.terminal.typing and not client.typed


async def test_a_viewer_watches() -> None:
    client = ConsoleClient()
    client.role = "viewer"
    async with console(client) as c:
        assert not c.terminal.typing and not {"type", "break", "SysRq"} & set(c.d.offered())
        await c.d.press("t", "x")
        assert not client.typed and not client.asked


async def test_answers_go_to_questions_asked_now_and_by_who_types() -> None:
    async with console() as c:
        await c.say("\x1b[6n")
        await c.d.press("x")
        await c.d.until(lambda: c.screen.types)
        await c.say("\x1b[6n", at=NOW - 60)
        await c.say("\x1b[6n")
        await c.d.until(lambda: bytes(c.client.typed) == b"x\x1b[1;1R")


async def test_a_gap_is_marked_where_it_is() -> None:
    async with console() as c:
        await c.say("before\r\n")
        await c.client.gap(NOW - 90, NOW - 30, "qrmd was started anew")
        await c.say("after\r\n")
        await c.d.press(WATCH, "home")
        shown = c.d.text().splitlines()
        place = next(n for n, text in enumerate(shown) if "nothing recorded" in text)
        assert "qrmd was started anew" in shown[place]
        assert "before" in "".join(shown[:place]) and "after" in "".join(shown[place:])


async def test_a_lost_line_is_said_and_the_console_goes_on_where_it_was() -> None:
    async with console() as c:
        await c.say("one ")
        await c.client.queue.put(None)
        await c.d.until(lambda: "LINE LOST" in c.title)
        await c.d.until(lambda: len(c.client.starts) == 2, "it watches again")
        assert c.client.starts[1] == {"from": 4}
        await c.say("two")
        await c.sees("one two")
        assert "LINE LOST" not in c.title


async def test_looking_back_stays_where_it_is_however_much_comes() -> None:
    async with console() as c:
        await c.say("".join(f"line {n}\r\n" for n in range(100)))
        await c.d.press(WATCH, "pageup", "pageup")
        top = c.d.text().splitlines()[1]
        assert "lines back" in c.title
        await c.say("".join(f"more {n}\r\n" for n in range(50)))
        assert c.d.text().splitlines()[1] == top
        await c.d.press("escape")
        await c.sees("more 49")
        assert "lines back" not in c.title and c.d.app.screen is c.screen
        await c.d.press("escape")
        await c.d.until(lambda: c.d.app.screen is c.d.app.main)


async def test_search_goes_back_and_on() -> None:
    async with console() as c:
        await c.say("".join(f"line {n}{' Kernel panic' if n in (10, 50) else ''}\r\n" for n in range(100)))
        await c.d.press(WATCH, "slash")
        await c.d.type("kernel panic")
        await c.d.press("enter")
        assert "line 50 Kernel panic" in c.d.text().splitlines()[1]
        await c.d.press("n")
        assert "line 10 Kernel panic" in c.d.text().splitlines()[1]
        await c.d.press("N")
        assert "line 50 Kernel panic" in c.d.text().splitlines()[1]
        await c.d.press("n", "n")
        assert "'kernel panic' is nowhere further back" in c.d.said() and "line 10" in c.d.text().splitlines()[1]
        await c.d.press("slash")
        await c.d.type("nowhere")
        await c.d.press("enter")
        assert "'nowhere' is in none of" in c.d.said()
        # what is on the last screen is found there, and what comes is seen as before
        await c.d.press("slash")
        await c.d.type("line 97")
        await c.d.press("enter")
        assert "lines back" not in c.title
        await c.say("more\r\nand more\r\n")
        await c.sees("and more")
        await c.d.press("escape")
        assert c.d.app.screen is c.screen, "first the words go"


async def test_times_are_shown_beside_the_lines() -> None:
    async with console() as c:
        await c.say("".join(f"line {n}\r\n" for n in range(40)), at=NOW - 3600)
        await c.say("login: ", at=NOW - 60)
        await c.d.press(WATCH, "c")
        shown = [text.strip() for text in c.d.text().splitlines()]
        hour, now = (time.strftime("%H:%M:%S", time.localtime(NOW - before)) for before in (3600, 60))
        assert f"{hour} line 39" in shown and f"{now} login:" in shown, "those of the screen have theirs, too"
        await c.d.press("pageup")
        assert f"{hour} line 7" in [text.strip() for text in c.d.text().splitlines()]


def list_of(folder: Path) -> list[Path]:
    return list(folder.glob("r1-console-*.txt"))


async def test_lines_are_copied_and_written_to_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    async with console() as c:
        await c.say("".join(f"line {n}\r\n" for n in range(60)))
        await c.d.press(WATCH, "home", "space", "y")
        assert c.d.app.clipboard.splitlines()[0] == "line 0" and "copied" in c.d.said()
        await c.d.press("Y")
        await c.d.until(lambda: "written to" in c.d.said())
        (written,) = list_of(tmp_path)
        assert "2026-11-22" in written.read_text().splitlines()[0] and "line 59" in written.read_text()
        assert stat.S_IMODE(written.stat().st_mode) == 0o600


async def test_pasting_lines_asks_and_a_word_does_not() -> None:
    async with console() as c:
        c.terminal.post_message(events.Paste("word"))
        await c.d.until(lambda: bytes(c.client.typed) == b"word")
        c.terminal.post_message(events.Paste("rm -r x\nreboot\n"))
        question = await c.d.at(Question)
        assert "Paste 2 lines into r1?" in c.d.text() and "rm -r x | reboot" in c.d.text()
        await c.d.press("n")
        await c.d.until(lambda: c.d.app.screen is not question)
        assert bytes(c.client.typed) == b"word"
        await c.say("\x1b[?2004h")
        c.terminal.post_message(events.Paste("a\x1b[201~\nb"))
        await c.d.at(Question)
        await c.d.press("y")
        await c.d.until(lambda: bytes(c.client.typed) == b"word\x1b[200~a[201~\rb\x1b[201~")


def letters(c: Console) -> list[str | None]:
    """What was asked of the line: None for a break, a letter for SysRq."""
    return [said.get("letter") for verb, said in c.client.asked if verb == "break"]


async def test_break_and_sysrq() -> None:
    async with console() as c:
        await c.d.press(WATCH, "b")
        await c.d.until(lambda: [verb for verb, _ in c.client.asked] == ["break"])
        await c.d.press("r")
        await c.d.at(SysRq)
        await c.d.press("s")
        await c.d.until(lambda: letters(c) == [None, "s"])
        await c.d.press("r")
        await c.d.at(SysRq)
        await c.d.press("b")
        await c.d.at(Question)
        await c.d.press("n")
        await c.d.at(SysRq)
        assert letters(c) == [None, "s"]
        await c.d.press("b")
        await c.d.at(Question)
        await c.d.press("y")
        await c.d.until(lambda: letters(c) == [None, "s", "b"] and c.d.app.screen is c.screen)
        assert not c.client.typed and not c.terminal.typing


async def test_a_break_that_the_source_has_not_is_told() -> None:
    client = ConsoleClient()
    client.refuses["break"] = "a command has no break"
    async with console(client) as c:
        await c.d.press(WATCH, "b")
        await c.d.until(lambda: "has no break" in c.d.said())


async def test_what_the_line_has_is_offered() -> None:
    async with console() as c:
        await c.d.press(WATCH)
        await c.d.until(lambda: {"break", "SysRq"} <= set(c.d.offered()))
        await c.client.stands(means=["sysrq"])
        await c.d.until(lambda: "break" not in c.d.offered())
        assert "SysRq" in c.d.offered()
        await c.client.stands(means=[], state="waiting", reason="it is off")
        await c.d.until(lambda: not {"break", "SysRq"} & set(c.d.offered()))
        await c.d.press("b", "r")
        assert "size" in c.d.offered() and c.d.app.screen is c.screen and not letters(c)


async def test_a_serial_line_is_taken_for_80x24_until_its_shell_is_told() -> None:
    async with console() as c:
        emulator = c.terminal.emulator
        assert (emulator.columns, emulator.rows) == (80, 24) and c.terminal.size.height < 24
        await c.say("\x1b[24;1Hbottom")
        await c.sees("bottom")  # the view follows the cursor
        await c.d.press(WATCH, "z")
        await c.d.at(Question)
        await c.d.press("y")
        rows = c.terminal.size.height
        await c.d.until(lambda: bytes(c.client.typed) == f"stty rows {rows} cols 80\r".encode())
        assert (emulator.columns, emulator.rows) == (80, rows)


async def test_on_a_small_screen_what_one_must_know_stays() -> None:
    async with console(size=(40, 10)) as c:
        assert c.title.split("  ")[0].strip() == "r1" and "you may type" in c.title
        await c.d.press(WATCH, "z")
        await c.d.at(Question)
        assert "y yes" in c.d.text() and "stty rows" in c.d.text()
        await c.d.press("n", "r")
        await c.d.at(SysRq)
        assert "esc leave" in c.d.text()


async def test_bell_and_title_are_shown() -> None:
    async with console() as c:
        await c.say("\x07\x1b]0;root@r1: ~\x07")
        await c.d.until(lambda: "BELL" in c.title)
        assert '"root@r1: ~"' in c.title and "PAUSED" not in c.title
        c.client.push({"partition": [partition("r1", "paused")]})
        await c.d.until(lambda: "r1  PAUSED" in c.title, "nothing there hears what is typed")


async def test_nothing_of_a_flood_is_lost_and_frames_are_skipped() -> None:
    async with console() as c:
        before = c.terminal.frames
        text = "".join(f"{n:07d} {'x' * 60}\r\n" for n in range(9000))
        for place in range(0, len(text), 1 << 16):
            await c.client.say(text[place:place + (1 << 16)])
        await c.d.until(lambda: c.screen._offset == len(text))
        kept = [c.terminal.lines.text(n)[:7] for n in range(c.terminal.lines.first, c.terminal.lines.end)]
        assert [number for number in kept if number] == [f"{n:07d}" for n in range(9000)]
        assert c.terminal.frames - before < 9000 / 24


async def test_a_screen_that_grows_shows_what_was_there() -> None:
    async with console() as c:
        await c.say("one\r\ntwo")
        await c.d.pilot.resize_terminal(120, 40)
        await c.sees("two")
        # strips of another width are not shown at all
        assert {strip.cell_length for strip in c.terminal._strips.values()} == {120}


async def test_what_was_rendered_with_its_neighbours_and_not_sent_is_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    async with console() as c:
        await c.say("one")
        around = [c.screen.query_one("#console-title", Page), c.screen.query_one(Keys)]
        c.terminal.emulator.feed(b"\r\ntwo", NOW)  # its frame is due a little later
        for widget in around:
            widget.refresh()
        c.screen._compositor.update_widgets(set(around))
        c.screen._compositor.render_update()  # the rectangle around both has the terminal in it
        asked: list[Region] = []
        monkeypatch.setattr(c.terminal, "refresh", lambda *regions: asked.extend(regions))
        c.terminal.show_changes()
        assert 1 in {region.y for region in asked}


async def test_watching_is_no_change_and_is_there_read_only() -> None:
    async with console(read_only=True) as c:
        await c.say("login: ")
        await c.sees("login:")
        assert not c.terminal.typing and "type" not in c.d.offered() and "search" in c.d.offered()


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (200, 60)])
async def test_nothing_is_said_wider_than_the_screen(size: tuple[int, int]) -> None:
    async with console(size=size) as c:
        await c.say("\x1b]0;" + "漢" * 60 + "\x07" + "x" * 300 + "\r\nend")
        await c.sees("end")
        assert len(c.d.text().splitlines()) == size[1]
        assert c.d.app.screen.query_one("#console-title").virtual_size.width <= size[0]


async def test_attach_is_a_command_too() -> None:
    client = ConsoleClient()
    async with running(client) as d:
        await d.press("colon")
        await d.type("console attach r1")
        await d.press("enter")
        screen = await d.at(ConsoleScreen)
        assert screen.machine == "r1"


async def test_a_console_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    client = ConsoleClient()

    async def none(parts: Any, query: Any) -> AsyncIterator[bytes]:
        raise QrmError("r1 has no console: qrm resource edit r1 --console ipmi-sol")
        yield b""

    monkeypatch.setattr(client, "pieces", none)
    async with running(client) as d:
        d.app.open_console("r1")
        await d.at(ConsoleScreen)
        await d.until(lambda: "r1 has no console" in d.said())
