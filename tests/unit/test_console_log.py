"""A console's log on disk: offsets, times, rotation, what a crash leaves, a disk that takes nothing."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from qrm_tui.core.console_wire import MOST_OUTPUT
from qrm_tui.daemon.console_log import ConsoleLog, OpenFiles
from qrm_tui.daemon.console_marks import Mark, Marks

SECOND = 1_000_000


def everything(log: ConsoleLog, offset: int = 0) -> list[tuple[int, int, bytes]]:
    pieces = []
    while piece := log.read(offset):
        pieces.append(tuple(piece))
        offset = piece.offset + len(piece.data)
    return pieces


def text(log: ConsoleLog, offset: int = 0) -> bytes:
    return b"".join(data for _, _, data in everything(log, offset))


def filled(folder: Path, lines: int = 10, **sizes: int) -> ConsoleLog:
    """A line a second."""
    log = ConsoleLog(folder / "r1", **sizes)
    for number in range(lines):
        log.append(b"line %03d\n" % number, (number + 1) * SECOND)
    return log


def test_what_was_said_is_read_from_any_offset_with_its_time(tmp_path: Path) -> None:
    log = filled(tmp_path)
    assert everything(log)[0] == (0, SECOND, b"line 000\n")
    assert everything(log, 20)[0] == (20, 3 * SECOND, b"ne 002\n")
    assert text(log) == b"".join(b"line %03d\n" % number for number in range(10))
    assert log.read(log.end) is None and log.end == 90


def test_pieces_that_came_together_are_given_out_together(tmp_path: Path) -> None:
    log = ConsoleLog(tmp_path / "r1")
    for number in range(1000):
        log.append(b"x" * 10, SECOND + number)
    assert [len(data) for _, _, data in everything(log)] == [5110, 4890]  # 512 records are looked through at once
    log.append(b"y", 3 * SECOND)
    assert everything(log)[-1] == (10_000, 3 * SECOND, b"y")


def test_offsets_by_time(tmp_path: Path) -> None:
    log = filled(tmp_path, 30, segment=160, most=10_000)
    assert len(log.segments) > 2
    assert log.offset_of_time(0) == 0
    assert log.offset_of_time(5 * SECOND) == 36
    assert log.offset_of_time(5 * SECOND + 1) == 45
    assert log.offset_of_time(31 * SECOND) == log.end


@pytest.mark.parametrize("sizes", [{}, {"segment": 160, "most": 10_000}])
def test_offsets_by_lines(tmp_path: Path, sizes: dict[str, int]) -> None:
    log = filled(tmp_path, 30, **sizes)
    assert text(log, log.offset_of_lines(2)) == b"line 028\nline 029\n"
    log.append(b"login: ", 40 * SECOND)
    assert text(log, log.offset_of_lines(1)) == b"login: "
    assert text(log, log.offset_of_lines(2)) == b"line 029\nlogin: "
    assert log.offset_of_lines(0) == log.end
    assert log.offset_of_lines(1000) == 0


def test_it_is_rotated_and_capped_and_offsets_go_on(tmp_path: Path) -> None:
    log = filled(tmp_path, 500, segment=1000, most=4000)
    assert log.size <= 4000 + 1000
    on_disk = sum(path.stat().st_size for path in log.folder.iterdir())
    assert on_disk == log.size
    assert log.start > 0 and log.end == 4500
    first = log.read(0)
    assert first is not None and first.offset == log.start
    assert text(log).endswith(b"line 499\n")
    assert log.offset_of_lines(1000) == log.start


def test_times_count_too_where_it_comes_byte_by_byte(tmp_path: Path) -> None:
    log = ConsoleLog(tmp_path / "r1", segment=2000, most=8000)
    for number in range(5000):
        log.append(b"k", number * SECOND)
    assert sum(path.stat().st_size for path in log.folder.iterdir()) <= 10_000


@pytest.mark.parametrize("torn", range(1, 16))
def test_a_torn_record_of_a_time_does_not_count(tmp_path: Path, torn: int) -> None:
    log = filled(tmp_path)
    log.release()
    (path,) = log.folder.glob("*.times")
    with path.open("ab") as file:
        file.write(b"\xff" * torn)
    again = ConsoleLog(log.folder)
    assert (again.end, again.last_at) == (90, 10 * SECOND)
    again.append(b"more\n", 20 * SECOND)
    assert everything(again)[-1] == (90, 20 * SECOND, b"more\n")
    assert path.stat().st_size % 16 == 0
    assert text(ConsoleLog(log.folder)) == text(again)


def test_bytes_without_a_time_are_read_with_the_last_one(tmp_path: Path) -> None:
    log = filled(tmp_path, 2)
    log.release()
    (path,) = log.folder.glob("*.log")
    with path.open("ab") as file:
        file.write(b"the time of this got lost\n")
    again = ConsoleLog(log.folder)
    assert everything(again)[-1] == (9, 2 * SECOND, b"line 001\nthe time of this got lost\n")
    (times,) = log.folder.glob("*.times")
    times.unlink()
    assert text(ConsoleLog(log.folder)) == text(again)


def test_a_log_goes_on_where_it_was_after_a_restart(tmp_path: Path) -> None:
    filled(tmp_path, 5).release()
    log = ConsoleLog(tmp_path / "r1")
    log.append(b"again\n", 100 * SECOND)
    assert log.end == 51 and len(log.segments) == 1
    assert everything(log)[-1] == (45, 100 * SECOND, b"again\n")


def test_a_file_that_somebody_removed_is_passed_over(tmp_path: Path) -> None:
    log = filled(tmp_path, 60, segment=200, most=10_000)
    log.segments[1].log_path.unlink()
    assert text(log).startswith(b"line 000\n") and text(log).endswith(b"line 059\n")


def test_few_files_are_open_whatever_the_number_of_logs(tmp_path: Path) -> None:
    files = OpenFiles(most=3)
    before = len(os.listdir("/proc/self/fd"))
    logs = [ConsoleLog(tmp_path / f"r{number}", files) for number in range(20)]
    for turn in range(3):
        for log in logs:
            log.append(b"%d\n" % turn, turn)
    assert len(os.listdir("/proc/self/fd")) <= before + 6
    assert all(text(log) == b"0\n1\n2\n" for log in logs)
    for log in logs:
        log.release()
    assert len(os.listdir("/proc/self/fd")) == before


class FullDisk:
    """os.write takes so many bytes more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room, self._write = room, os.write
        monkeypatch.setattr("qrm_tui.daemon.console_log.os.write", self)

    def __call__(self, descriptor: int, data: Any) -> int:
        if not self.room:
            raise OSError(28, "No space left on device")
        written = self._write(descriptor, bytes(data[: self.room]))
        self.room -= written
        return written


@pytest.mark.parametrize("room", [0, 1, 5, 9, 10, 17, 24, 25, 26, 40])
def test_a_disk_that_is_full_costs_nothing_that_fits_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    log = ConsoleLog(tmp_path / "r1")
    disk = FullDisk(monkeypatch, room)
    for number in range(5):
        log.append(b"line %03d\n" % number, (number + 1) * SECOND)
        assert text(log) == b"".join(b"line %03d\n" % one for one in range(number + 1))
    assert log.trouble == "the log cannot be written: No space left on device"
    disk.room = 1 << 30
    log.append(b"room\n", 9 * SECOND)
    assert not log.trouble and not log._held
    expected = b"".join(b"line %03d\n" % number for number in range(5)) + b"room\n"
    assert text(log) == text(ConsoleLog(log.folder)) == expected
    assert everything(log)[-1][1] == 9 * SECOND


def test_what_does_not_fit_in_memory_is_a_hole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = filled(tmp_path, 1)
    disk = FullDisk(monkeypatch, 0)
    for number in range(20):
        log.append(b"%02d" % number * (MOST_OUTPUT // 2), (number + 10) * SECOND)
    assert len(log._held) <= 256 << 10
    end = log.end
    assert end == 9 + 20 * MOST_OUTPUT
    piece = log.read(9)
    assert piece is not None and piece.offset == end - (256 << 10) and piece.at == 26 * SECOND
    disk.room = 1 << 30
    log.append(b"room\n", 90 * SECOND)
    for same in (log, ConsoleLog(log.folder)):
        assert same.end == end + 5
        assert [one.start for one in same.segments] == [0, end - (256 << 10)]
        piece = same.read(9)
        assert piece is not None and piece.offset == end - (256 << 10)
        assert text(same).endswith(b"19room\n")


def test_marks_are_one_an_offset_and_survive(tmp_path: Path) -> None:
    marks = Marks(tmp_path / "r1" / "marks")
    marks.begins(0, 1.0)
    assert marks.all() == []
    marks.ended(9, 10.0, "lost")
    marks.begins(9, 20.0)
    marks.ended(9, 30.0, "lost again")
    assert list(marks.gaps(0, 100)) == []
    marks.begins(9, 40.0)
    marks.ended(50, 60.0, "ended")
    with (tmp_path / "r1" / "marks").open("ab") as file:
        file.write(b'{"offset": 60, "si')
    for same in (marks, Marks(tmp_path / "r1" / "marks")):
        assert same.all() == [Mark(9, 10.0, 40.0, "lost again"), Mark(50, 60.0, None, "ended")]
        assert [mark.offset for mark in same.gaps(0, 100)] == [9]


def test_marks_of_a_source_that_never_holds_stay_few(tmp_path: Path) -> None:
    path = tmp_path / "marks"
    marks = Marks(path)
    for number in range(5000):
        marks.ended(number, number, "lost")
        marks.begins(number, number + 1)
    assert len(marks.all()) == 200 and path.stat().st_size < 128 << 10
    assert Marks(path).all() == marks.all()
