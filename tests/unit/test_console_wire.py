"""Frames of a console's stream, cut anywhere."""
from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrm_tui.core.console_wire import (
    GAP,
    MOST_FRAME,
    OUTPUT,
    STATUS,
    Frame,
    Frames,
    WrongFrame,
    frame,
    output_frame,
    read_output,
)


@given(st.lists(st.tuples(st.sampled_from([OUTPUT, STATUS, GAP]), st.binary(max_size=100)), max_size=10),
       st.lists(st.integers(0, 500), max_size=10))
def test_frames_come_out_as_they_went_in(sent: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    wire = b"".join(frame(kind, payload) for kind, payload in sent)
    frames, got, places = Frames(), [], sorted({0, len(wire), *(min(cut, len(wire)) for cut in cuts)})
    for begin, end in pairwise(places):
        got += list(frames.feed(wire[begin:end]))
    assert got == [Frame(*one) for one in sent]


def test_output_carries_offset_and_time() -> None:
    (one,) = Frames().feed(output_frame(1 << 40, 1_790_000_000_123_456, b"\x00\xff"))
    assert read_output(one.payload) == (1 << 40, 1_790_000_000_123_456, b"\x00\xff")


@pytest.mark.parametrize("wire", [b"X\0\0\0\1x", b"{\"error\": 1}", frame(STATUS, b"")[:1] + b"\xff\xff\xff\xff"])
def test_what_is_no_frame_is_said(wire: bytes) -> None:
    with pytest.raises(WrongFrame):
        list(Frames().feed(wire))


def test_a_short_output_and_the_longest_frame() -> None:
    with pytest.raises(WrongFrame):
        read_output(b"short")
    assert len(list(Frames().feed(frame(STATUS, b"x" * MOST_FRAME)))) == 1
