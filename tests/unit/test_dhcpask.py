"""The question who offers addresses on a wire: its frame, and answers of all kinds."""
from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as some

from qrm_tui.dhcpask.__main__ import checksum, discover, offer

MAC = bytes.fromhex("525400123456")


def answer(transaction: int, kind: int = 2, options: bytes | None = None) -> bytes:
    """A server's frame, as a client gets it."""
    body = struct.pack("!BBBBIHH4s4s4s4s16s192x", 2, 1, 6, 0, transaction, 0, 0x8000, b"\0" * 4,
                       socket.inet_aton("192.168.88.150"), b"\0" * 4, b"\0" * 4, MAC) + b"\x63\x82\x53\x63"
    body += options if options is not None else bytes((53, 1, kind, 54, 4)) + socket.inet_aton("192.168.88.1") + b"\xff"
    udp = struct.pack("!HHHH", 67, 68, 8 + len(body), 0) + body
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, b"\xc0\xa8\x58\x01", b"\xff" * 4)
    return b"\xff" * 6 + MAC + b"\x08\x00" + header + udp


def test_the_question_is_a_whole_frame() -> None:
    frame = discover(MAC, 0x12345678)
    assert frame[:14] == b"\xff" * 6 + MAC + b"\x08\x00"
    assert checksum(frame[14:34]) == 0, "the header's sum holds"
    assert len(frame) == 14 + 20 + 8 + 300
    assert offer(frame, 0x12345678) is None, "a question is no answer"


def test_an_offer_tells_its_server_and_the_address() -> None:
    assert offer(answer(7), 7) == ("192.168.88.1", "192.168.88.150")


@pytest.mark.parametrize("frame", [
    answer(8), answer(7, kind=5), answer(7, options=b"\xff"), answer(7, options=bytes((53, 1, 2, 54, 1, 1, 255))),
    answer(7, options=bytes((53, 1, 2, 54, 200))), answer(7)[:200], b"", b"\0" * 400,
])
def test_others_and_broken_ones_are_passed_over(frame: bytes) -> None:
    assert offer(frame, 7) is None


@given(some.binary(max_size=400))
def test_any_bytes_are_survived(noise: bytes) -> None:
    offer(noise, 7)
    offer(answer(7, options=noise), 7)
