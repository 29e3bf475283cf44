"""Wrong passwords: how long is waited, and that what is remembered is bounded. Accounts: whose is a person's."""
from __future__ import annotations

import pytest

from qrm_tui.daemon.passwords import Passwords
from qrm_tui.daemon.peer import MOST_OF_STRANGER, MOST_OF_STRANGERS, Peer, Role, Strangers
from qrm_tui.daemon.throttle import FORGOTTEN, REMEMBERED, Throttle
from tests.unit.practice import Clock


def test_waits_grow_to_a_minute_and_are_forgotten() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    waits = []
    for _ in range(12):
        throttle.wrong("anna", 1000)
        waits.append(throttle.wait_of(1000))
    assert waits == [0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert throttle.wait_of(1001) == 0 and throttle.pause_for("anna", 1001) == 8
    clock.now += 59
    assert throttle.wait_of(1000) == 1
    clock.now += FORGOTTEN
    assert throttle.wait_of(1000) == 0 and throttle.pause_for("anna", 1001) == 0


def test_the_right_one_forgives_what_was_tried_of_that_user() -> None:
    throttle = Throttle(Clock())
    for user in ("anna", "anna", "bert", "bert"):
        throttle.wrong(user, 1000)
    assert throttle.wait_of(1000) == 2
    assert throttle.right("anna", 1000) == 2
    assert throttle.wait_of(1000) == 0
    throttle.wrong("bert", 1000)
    assert throttle.wait_of(1000) == 1


def test_what_is_remembered_is_bounded() -> None:
    throttle = Throttle(Clock())
    for number in range(3 * REMEMBERED):
        throttle.wrong(f"user{number}", 1000 + number % 5)
        throttle.right(f"user{number}", 5000)
    assert len(throttle._tries) <= REMEMBERED and len(throttle._known) <= REMEMBERED
    assert throttle.wait_of(1000) == 60


@pytest.mark.parametrize(("uid", "person"), [(0, True), (1, False), (33, False), (999, False), (1000, True),
                                             (60000, True), (61184, False), (65534, False), (100_000, True)])
def test_whose_accounts_are_peoples(uid: int, person: bool) -> None:
    assert Peer(1, uid, ()).is_person is person


def test_strangers_are_counted_and_others_are_not() -> None:
    strangers = Strangers(lambda peer: Role.viewer if peer.uid == 1000 else Role.nobody)
    assert all(strangers.admit(Peer(1, 1000, ())) is None for _ in range(2 * MOST_OF_STRANGERS))
    assert [strangers.admit(Peer(1, 2000, ())) for _ in range(MOST_OF_STRANGER)] == [2000] * MOST_OF_STRANGER
    with pytest.raises(OverflowError):
        strangers.admit(Peer(1, 2000, ()))
    for uid in (2001, 2002, 2003):
        for _ in range(MOST_OF_STRANGER):
            strangers.admit(Peer(1, uid, ()))
    with pytest.raises(OverflowError):
        strangers.admit(Peer(1, 2004, ()))
    strangers.left(2000)
    assert strangers.admit(Peer(1, 2000, ())) == 2000


async def test_passwords_are_sealed_as_argon2_advises() -> None:
    passwords = Passwords()
    sealed = await passwords.seal("Grüße, Welt")
    assert sealed.startswith("$argon2id$v=19$m=65536,t=3,p=4$") and sealed != await passwords.seal("Grüße, Welt")
    # the same letters, typed with accents of their own
    assert await passwords.fits(sealed, "Gru\u0308ße, Welt")
    assert not await passwords.fits(sealed, "Grusse, Welt")
    assert not await passwords.fits("", "Grüße, Welt") and not await passwords.fits("$broken", "Grüße, Welt")
