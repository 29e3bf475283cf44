"""Logging in by name and password: who gets in, what is never told or kept, and how sessions end."""
from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from starlette.testclient import TestClient

from qrm_tui.core.errors import NotPermitted, QrmError, Refused
from qrm_tui.core.operations.declarations import Role
from qrm_tui.core.passwords import FIRST_PASSWORD, FIRST_USER
from qrm_tui.daemon.api import Api
from qrm_tui.daemon.log_in import LogIn
from qrm_tui.daemon.passwords import Passwords
from qrm_tui.daemon.peer import Peer
from qrm_tui.daemon.sessions import LogInSettings
from tests.daemon.world import ADMIN, World
from tests.unit.practice import Clock

SECRET, OTHER = "correct horse", "battery staple"
#: An account without a role, another one, and a service's.
HERE, THERE, SERVICE = Peer(1 << 30, 4711, ()), Peer(1 << 30, 4712, ()), Peer(1 << 30, 61500, ())


@pytest.fixture
def clock(world: World, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A steady clock, which stands still; passwords are sealed cheaply."""
    clock, qrmd = Clock(), world.qrmd
    qrmd.log_in = LogIn(qrmd.farm, qrmd.store, qrmd.records, LogInSettings(), steady=clock,
                        passwords=Passwords(time_cost=1, memory_cost=8, parallelism=1))
    monkeypatch.setattr(qrmd.planning, "_seal", qrmd.log_in.seal_secrets)
    return clock


@pytest.fixture
def nap(world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that somebody would have been answered later."""
    naps: list[float] = []
    throttle = world.qrmd.log_in.throttle
    pause_for = throttle.pause_for
    monkeypatch.setattr(throttle, "pause_for", lambda user, account: naps.append(pause_for(user, account)) or 0)
    return naps


async def user(world: World, name: str = "anna", role: str = "operator", password: str = SECRET) -> None:
    """A user who has a password of their own."""
    await world.do("user.add", name=name, role=role, password="first " + SECRET[::-1])
    token, session = await world.qrmd.log_in.log_in(name, "first " + SECRET[::-1], HERE)
    await world.qrmd.log_in.change(session, "first " + SECRET[::-1], password, HERE.as_user(name))
    world.qrmd.log_in.sessions.end(token)


async def wrong(world: World, name: str, password: str, peer: Peer = HERE) -> str:
    """Why not."""
    with pytest.raises(NotPermitted) as refused:
        await world.qrmd.log_in.log_in(name, password, peer)
    return str(refused.value)


def client(world: World, peer: Peer = HERE, role: Role = Role.nobody) -> TestClient:
    """Requests of a process of that account."""
    where = ",".join(map(str, (peer.pid, peer.uid)))
    return TestClient(Api(world.qrmd, lambda peer: role).app(), raise_server_exceptions=False, client=(where, 0))


async def post(client: TestClient, path: str, token: str = "", **body: Any) -> Any:
    """The answer; off this loop, whose server has work to do meanwhile."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return client.post(path, json=body, headers=headers)


async def journal(world: World) -> list[tuple[str, str, str, str]]:
    """Who, what, on what, and how it ended; newest first."""
    rows = (await world.qrmd.list("journal", "", "", 50, 0))["rows"]
    return [(row["who"], row["operation"], row["object"], row["outcome"]) for row in rows]


# the first user

async def test_the_first_user_must_change_the_password_that_everybody_knows(world: World, clock: Clock) -> None:
    log_in = world.qrmd.log_in
    await log_in.make_first()
    assert world.qrmd.farm.get("user", "qrm").state == "warning"
    assert [alert["name"] for alert in world.qrmd.status()["alerts"] if alert["kind"] == "user"] == ["qrm"]
    _, session = await log_in.log_in(FIRST_USER, FIRST_PASSWORD, HERE)
    assert log_in.sessions.role(session) is Role.nobody
    await log_in.change(session, FIRST_PASSWORD, SECRET, HERE)
    assert log_in.sessions.role(session) is Role.administrator
    assert world.qrmd.farm.get("user", "qrm").state == "ok"
    await wrong(world, FIRST_USER, FIRST_PASSWORD)


async def test_there_is_no_second_first_user(world: World, clock: Clock) -> None:
    await user(world)
    await world.qrmd.log_in.make_first()
    assert [item.name for item in world.qrmd.farm.all("user")] == ["anna"]


async def test_services_do_not_get_in_by_the_password_that_everybody_knows(world: World, clock: Clock) -> None:
    await world.qrmd.log_in.make_first()
    assert "service's" in await wrong(world, FIRST_USER, FIRST_PASSWORD, SERVICE)
    assert world.qrmd.farm.get("user", "qrm").seen is None


async def test_where_passwords_are_not_allowed_nobody_logs_in(world: World) -> None:
    off = LogIn(world.qrmd.farm, world.qrmd.store, world.qrmd.records, LogInSettings(allowed=False))
    await off.make_first()
    assert not world.qrmd.farm.count("user")
    with pytest.raises(NotPermitted, match="nobody logs in by password"):
        await off.log_in(FIRST_USER, FIRST_PASSWORD, HERE)


async def test_a_practice_farm_has_no_first_user(world: World) -> None:
    assert not world.qrmd.farm.count("user")


# users

async def test_the_last_administrator_stays(world: World, clock: Clock) -> None:
    await user(world, "anna", "administrator")
    for operation, more in (("user.remove", {}), ("user.role", {"role": "viewer"})):
        with pytest.raises(Refused, match="last administrator"):
            await world.do(operation, name="anna", **more)
    await user(world, "bert", "administrator")
    first = await world.qrmd.plan("user.remove", {"name": "anna"}, Role.administrator)
    second = await world.qrmd.plan("user.remove", {"name": "bert"}, Role.administrator)
    await world.qrmd.run(first.id, ADMIN, Role.administrator)
    with pytest.raises(Refused, match="changed meanwhile"):
        await world.qrmd.run(second.id, ADMIN, Role.administrator)


@pytest.mark.parametrize(("password", "reason"), [
    ("short", "at least 8"), ("x" * 200, "at most 128"), ("abcdefg\x07", "control characters"),
    ("aaaaaaaaaaa", "different"), ("my-anna-2026", "user's name"), (12345678, "no text"), ("", "is needed"),
])
async def test_what_a_password_must_be_is_told_without_it(world: World, clock: Clock, password: Any,
                                                          reason: str) -> None:
    with pytest.raises(QrmError, match=reason) as refused:
        await world.do("user.add", name="anna", role="viewer", password=password)
    assert not password or str(password) not in str(refused.value)


async def test_no_plan_and_no_entry_has_the_password_or_its_seal(world: World, clock: Clock,
                                                                 caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    plan = await world.qrmd.plan("user.add", {"name": "anna", "role": "viewer", "password": SECRET}, Role.administrator)
    shown = await world.qrmd.planning.describe(plan, look=True)
    await world.qrmd.run(plan.id, ADMIN, Role.administrator)
    await world.qrmd.log_in.log_in("anna", SECRET, HERE)
    await wrong(world, "anna", OTHER)
    await wrong(world, OTHER.replace(" ", ""), SECRET)
    rows = [vars(row) for row in (await world.qrmd.store.journal(0, 50))[0]]
    row = await world.qrmd.show("user", "anna")
    events = [event async for event in _snapshot(world)]
    for told in (json.dumps(shown), repr(rows), json.dumps(row), json.dumps(events), caplog.text):
        assert SECRET not in told and OTHER.replace(" ", "") not in told and "$argon2" not in told
    assert shown["command"] == "qrm user add anna --role viewer"
    assert world.qrmd.farm.get("user", "anna").wanted.password.startswith("$argon2id$")


async def _snapshot(world: World) -> Any:
    async for event in world.qrmd.changes.watch(["user"]):
        yield event
        return


async def test_the_journal_names_the_user(world: World, clock: Clock) -> None:
    await user(world, role="administrator")
    app = client(world)
    token = (await post(app, "/v1/login", name="anna", password=SECRET)).json()["token"]
    plan = (await post(app, "/v1/plan", token, operation="user.role", arguments={"name": "anna", "role": "viewer"}))
    assert plan.status_code == 409  # the last administrator
    plan = await post(app, "/v1/plan", token, operation="user.add",
                      arguments={"name": "bert", "role": "viewer", "password": OTHER})
    assert (await post(app, "/v1/run", token, plan=plan.json()["id"])).status_code == 200
    assert (await journal(world))[:4] == [
        ("anna", "user.add", "user/bert", "done"), ("anna", "user.log-in", "user/anna", "done"),
        ("anna", "user.password", "user/anna", "done"), ("anna", "user.log-in", "user/anna", "done")]
    row = (await world.qrmd.list("journal", "", "-seq", 1, 0))["rows"][0]
    assert row["terminal"] == "as 4711"
    assert (await world.qrmd.store.verify_journal())[1] == ""


# wrong passwords

async def test_nobody_learns_which_users_there_are(world: World, clock: Clock, nap: list[float]) -> None:
    await user(world)
    said = {await wrong(world, name, OTHER, Peer(1, 5000 + number, ()))
            for number, name in enumerate(("anna", "nobody", "", "x" * 500, "../etc", "\x00"))}
    assert said == {"the name or the password is not right"}


async def test_an_account_that_tries_is_slowed_down_and_never_locked_out(world: World, clock: Clock,
                                                                         nap: list[float]) -> None:
    await user(world)
    for _ in range(3):
        assert "not right" in await wrong(world, "anna", OTHER, THERE)
    assert "try again in 1 s" in await wrong(world, "anna", SECRET, THERE)
    assert (await journal(world))[0] == ("4712", "user.log-in", "user/anna", "refused")
    for _ in range(12):
        clock.now += 60
        assert "not right" in await wrong(world, "anna", OTHER, THERE)
    assert "try again in 60 s" in await wrong(world, "anna", SECRET, THERE)
    assert [entry[3] for entry in await journal(world)].count("refused") == 1
    clock.now += 60
    await world.qrmd.log_in.log_in("anna", SECRET, THERE)


async def test_who_is_attacked_gets_in(world: World, clock: Clock, nap: list[float]) -> None:
    await user(world)
    for account in range(5000, 5020):
        for _ in range(2):
            await wrong(world, "anna", OTHER, Peer(1, account, ()))
    assert nap[-1] == 8
    nap.clear()
    await world.qrmd.log_in.log_in("anna", SECRET, HERE)    # where she has logged in before
    assert nap == [0]
    await world.qrmd.log_in.log_in("anna", SECRET, THERE)   # somewhere else
    assert nap == [0, 8]


async def test_one_attempt_at_a_time_for_an_account(world: World, clock: Clock) -> None:
    await user(world)
    tries = await asyncio.gather(*(world.qrmd.log_in.log_in("anna", OTHER, THERE) for _ in range(20)),
                                 return_exceptions=True)
    assert sum("being looked at" in str(refused) for refused in tries) == 19


async def test_ones_own_password_does_not_clear_the_way_to_others(world: World, clock: Clock,
                                                                  nap: list[float]) -> None:
    await user(world)
    await user(world, "bert", "viewer")
    for _ in range(3):
        await wrong(world, "anna", OTHER, THERE)
    clock.now += 5
    await world.qrmd.log_in.log_in("bert", SECRET, THERE)
    await wrong(world, "anna", OTHER, THERE)
    assert "try again" in await wrong(world, "anna", OTHER, THERE)


# sessions

async def test_a_session_is_for_its_account_alone(world: World, clock: Clock) -> None:
    await user(world)
    token = (await post(client(world), "/v1/login", name="anna", password=SECRET)).json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert client(world).get("/v1/farm", headers=headers).status_code == 200
    assert client(world, THERE).get("/v1/farm", headers=headers).status_code == 401


async def test_a_session_counts_before_its_account(world: World, clock: Clock) -> None:
    await user(world, role="viewer")
    root = client(world, role=Role.administrator)
    token = (await post(root, "/v1/login", name="anna", password=SECRET)).json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert root.get("/v1/hello", headers=headers).json()["role"] == "viewer"
    refused = await post(root, "/v1/plan", token, operation="storage.remove", arguments={"name": "s1"})
    assert refused.status_code == 403
    await post(root, "/v1/logout", token)
    ended = root.get("/v1/hello", headers=headers).json()
    assert (ended["role"], ended["session"]) == ("nobody", None)
    assert root.get("/v1/farm", headers=headers).status_code == 401
    assert root.get("/v1/farm").status_code == 200


@pytest.mark.parametrize(("step", "rounds", "lives"), [(1700, 20, True), (1900, 1, False), (1700, 26, False)])
async def test_sessions_end_by_themselves(world: World, clock: Clock, step: float, rounds: int, lives: bool) -> None:
    await user(world)
    token, _ = await world.qrmd.log_in.log_in("anna", SECRET, HERE)
    found = None
    for _ in range(rounds):
        clock.now += step
        found = world.qrmd.log_in.sessions.find(token, HERE.uid)
    assert bool(found) is lives


async def test_whoever_watches_is_not_idle(world: World, clock: Clock) -> None:
    await user(world)
    sessions = world.qrmd.log_in.sessions
    token, session = await world.qrmd.log_in.log_in("anna", SECRET, HERE)
    with sessions.streaming(session):
        clock.now += 7200
        assert sessions.find(token, HERE.uid) is session
        clock.now += 1000
    clock.now += 1000
    assert sessions.find(token, HERE.uid) is session


@pytest.mark.parametrize(("operation", "more"), [("user.remove", {}), ("user.password", {"password": OTHER})])
async def test_a_user_who_is_gone_or_has_another_password_has_no_session(world: World, clock: Clock, operation: str,
                                                                         more: dict[str, str]) -> None:
    await user(world)
    await user(world, "bert")
    token, session = await world.qrmd.log_in.log_in("anna", SECRET, HERE)
    other, _ = await world.qrmd.log_in.log_in("bert", SECRET, HERE)
    await world.do(operation, name="anna", **more)
    assert session.ended.is_set() and world.qrmd.log_in.sessions.find(token, HERE.uid) is None
    assert world.qrmd.log_in.sessions.find(other, HERE.uid)


async def test_a_role_counts_from_the_next_request_on(world: World, clock: Clock) -> None:
    await user(world)
    _, session = await world.qrmd.log_in.log_in("anna", SECRET, HERE)
    await world.do("user.role", name="anna", role="viewer")
    assert world.qrmd.log_in.sessions.role(session) is Role.viewer and not session.ended.is_set()


async def test_a_new_password_ends_the_other_sessions(world: World, clock: Clock) -> None:
    await user(world)
    log_in = world.qrmd.log_in
    token, session = await log_in.log_in("anna", SECRET, HERE)
    other, _ = await log_in.log_in("anna", SECRET, HERE)
    await log_in.change(session, SECRET, OTHER, HERE)
    assert log_in.sessions.find(token, HERE.uid) is session and log_in.sessions.find(other, HERE.uid) is None
    await wrong(world, "anna", SECRET)


@pytest.mark.parametrize(("old", "new", "reason"), [
    (OTHER, "another one", "^the password is not right$"), (SECRET, SECRET, "that you have"),
    (SECRET, "anna's own", "user's name"), (SECRET, "short", "at least 8"),
])
async def test_changing_a_password_wants_the_old_one_and_a_good_new_one(world: World, clock: Clock, old: str, new: str,
                                                                        reason: str) -> None:
    await user(world)
    token, session = await world.qrmd.log_in.log_in("anna", SECRET, HERE)
    with pytest.raises(QrmError, match=reason):
        await world.qrmd.log_in.change(session, old, new, HERE)
    assert world.qrmd.log_in.sessions.find(token, HERE.uid) is session


async def test_sessions_are_bounded(world: World, clock: Clock) -> None:
    await user(world)
    sessions, item = world.qrmd.log_in.sessions, world.qrmd.farm.get("user", "anna")
    begun = []
    for _ in range(40):
        clock.now += 1
        begun.append(sessions.begin(item, HERE.uid))
    assert [session.ended.is_set() for _, session in begun] == [True] * 8 + [False] * 32


async def test_sessions_end_with_the_server_and_users_stay(world: World, clock: Clock) -> None:
    await user(world)
    token, _ = await world.qrmd.log_in.log_in("anna", SECRET, HERE)
    await world.kill_and_start()
    assert world.qrmd.log_in.sessions.find(token, HERE.uid) is None
    await world.qrmd.log_in.log_in("anna", SECRET, HERE)
    assert world.qrmd.farm.get("user", "anna").seen.last_in
    seen = next(item for item in await world.qrmd.store.objects() if item.kind == "user").seen
    assert seen.last_from == "as 4711"


async def test_before_a_password_of_ones_own_nothing_else_is_done(world: World, clock: Clock) -> None:
    await world.do("user.add", name="anna", role="administrator", password=SECRET)
    app = client(world)
    answer = (await post(app, "/v1/login", name="anna", password=SECRET)).json()
    token = answer["token"]
    assert (answer["role"], answer["must_change"]) == ("nobody", True)
    headers = {"Authorization": f"Bearer {token}"}
    assert app.get("/v1/farm", headers=headers).status_code == 401
    assert app.get("/v1/hello", headers=headers).json()["session"] == {"user": "anna", "must_change": True}
    assert (await post(app, "/v1/password", token, old=SECRET, new=OTHER)).json()["role"] == "administrator"
    assert app.get("/v1/farm", headers=headers).status_code == 200
    locked = await post(app, "/v1/unlock", token, password=SECRET)
    assert locked.status_code == 403 and "the password is not right" in locked.text and "name" not in locked.text
    assert (await post(app, "/v1/unlock", token, password=OTHER)).status_code == 200


@pytest.mark.parametrize(("path", "body"), [
    ("/v1/login", b'{"name": "' + b"x" * 9000 + b'", "password": ""}'), ("/v1/login", b'{"name": 5}'),
    ("/v1/login", b'{"name": "anna", "password": null}'), ("/v1/login", b"\xff"),
])
async def test_wrong_requests_of_strangers(world: World, path: str, body: bytes) -> None:
    answer = client(world).post(path, content=body)
    assert answer.status_code == 400


async def test_what_a_stranger_may(world: World) -> None:
    hello = client(world).get("/v1/hello").json()
    assert (hello["role"], hello["log_in"], hello["session"], hello["user"]) == ("nobody", True, None, "4711")
    for path in ("/v1/unlock", "/v1/password"):
        assert (await post(client(world), path, password="x", old="x", new="y")).status_code == 401
    assert "qrm login" in client(world).get("/v1/farm").text
    assert client(world).get("/v1/farm", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert (await post(client(world), "/v1/logout", "wrong")).status_code == 200
