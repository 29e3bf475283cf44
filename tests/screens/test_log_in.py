"""Who is at the keyboard: logging in, a first password, the lock, logging out, and the list of users."""

from __future__ import annotations

from typing import Any

from textual import events
from textual.widgets import Input

from qrm_tui.screens.form import Form
from qrm_tui.screens.log_in import Lock, LogIn, OwnPassword
from qrm_tui.screens.main import MainScreen
from qrm_tui.screens.message import MessageScreen
from qrm_tui.screens.plan import PlanScreen
from tests.screens.driver import Driver, running
from tests.screens.fake_client import NOW, FakeClient, Row, image
from tests.unit.practice import Clock


def user(name: str, state: str = "ok", **more: Any) -> Row:
    """A user's row."""
    return {"name": name, "state": state, "since": NOW - 86400, "seen_at": NOW - 600, "revision": 1, "role": "operator",
            "password": "own", "last_in": NOW - 600, "last_from": "/dev/tty1 as console", **more}


def farm_of_users(*, strange: bool = True) -> FakeClient:
    """A farm with users; `strange`: this account has no role there."""
    client = FakeClient(rows={
        "user": [user("anna"), user("bert", role="viewer"),
                 user("qrm", "warning", role="administrator", password="known", last_in=None, last_from="")],
        "image": [image("webserver")]})
    client.strange = strange
    client.users = {"anna": ("correct horse", "operator"), "bert": ("battery staple", "viewer"),
                    "qrm": ("qrm", "administrator")}
    return client


async def fill(driver: Driver, *texts: str) -> None:
    """Type into one line after the other."""
    for text in texts:
        await driver.type(text)
        await driver.press("enter")


async def sign_in(driver: Driver, name: str = "anna", password: str = "correct horse") -> None:
    """Until the farm is there."""
    await driver.at(LogIn)
    await fill(driver, name, password)
    await driver.until(lambda: not driver.app.guarded and driver.app.live.rows["image"], "the farm")


# logging in

async def test_who_has_no_role_logs_in() -> None:
    async with running(farm_of_users()) as driver:
        await driver.at(LogIn)
        assert "Log in to training on tower" in driver.text() and not driver.called("watch")
        await fill(driver, "anna", "wrong one")
        await driver.until(lambda: "not right" in driver.page("#trouble"), "why not")
        password = driver.app.screen.query_one("#password", Input)
        assert password.value == "" and password.has_focus and "wrong one" not in driver.text()
        await fill(driver, "correct horse")
        await driver.until(lambda: driver.app.live.rows["image"], "the farm")
        assert isinstance(driver.app.screen, MainScreen) and "anna, operator" in driver.text()


async def test_in_ten_lines_there_is_room_for_all_of_it_and_for_the_keys() -> None:
    client = farm_of_users()
    client.must_change = {"qrm"}
    async with running(client, size=(40, 10)) as driver:
        await driver.at(LogIn)
        await driver.until(lambda: "choose another one then." in driver.text(), "the first user")
        assert driver.text().splitlines()[-1].split() == ["enter", "log", "in", "ctrl+c", "leave"]
        await fill(driver, "qrm", "wrong")
        await driver.until(lambda: "! the name or" in driver.text(), "why not")
        assert "enter log in" in driver.text() and "> password" in driver.text()
        await fill(driver, "qrm")
        await driver.until(lambda: "be done before." in driver.text(), "a new password")
        assert "once more" in driver.text() and "esc back" in driver.text()
        await driver.pilot.resize_terminal(80, 24)
        await driver.until(lambda: "8 characters or\n" in driver.page("#guard-title"), "wrapped anew")


async def test_whoever_types_faster_than_the_machine_shows_no_password() -> None:
    async with running(farm_of_users()) as driver:
        await driver.at(LogIn)
        for key in (*"anna", "enter", *"secret", "enter", *"er"):
            driver.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await driver.until(lambda: "not right" in driver.page("#trouble"), "why not")
        assert driver.called("log_in") == ["anna"] and "secret" not in driver.text()


async def test_nothing_is_done_before() -> None:
    async with running(farm_of_users()) as driver:
        await driver.at(LogIn)
        await driver.press("ctrl+p", "5", "colon", "escape", "tab", "up")
        assert isinstance(driver.app.screen, LogIn) and len(driver.app.screen_stack) == 2
        assert {call for call, _ in driver.client.calls} == {"hello"}


async def test_the_first_log_in_wants_another_password() -> None:
    client = farm_of_users()
    client.must_change = {"qrm"}
    async with running(client) as driver:
        await driver.at(LogIn)
        await driver.until(lambda: "the password qrm" in driver.page("#guard-title"), "the first user")
        await fill(driver, "qrm", "qrm")
        await driver.until(lambda: "Welcome, qrm" in driver.page("#guard-title"), "a new password")
        for new, again, reason in (("short", "short", "at least 8"), ("qrm-2026", "qrm-2026", "name"),
                                   ("correct horse", "correct hearse", "not the same")):
            await fill(driver, new, again)
            assert reason in driver.page("#trouble") and new not in driver.text()
        assert not driver.called("change_password") and not driver.called("watch")
        await fill(driver, "correct horse", "correct horse")
        await driver.until(lambda: driver.app.live.rows["image"], "the farm")
        assert "qrm, administrator" in driver.text()


async def test_a_first_password_that_is_not_wanted_is_left() -> None:
    client = farm_of_users()
    client.must_change = {"qrm"}
    async with running(client) as driver:
        await driver.at(LogIn)
        await fill(driver, "qrm", "qrm")
        await driver.until(lambda: "Welcome" in driver.page("#guard-title"), "a new password")
        await driver.press("escape")
        await driver.until(lambda: driver.called("log_out"), "the session is ended")
        await sign_in(driver)


async def test_a_shared_terminal_asks_though_its_account_has_a_role() -> None:
    client = farm_of_users()
    async with running(client, asks_log_in=True) as driver:
        client.strange = False
        await sign_in(driver, "bert", "battery staple")
        assert "bert, viewer" in driver.text()


# another password of one's own

async def test_who_has_logged_in_changes_their_own_password() -> None:
    async with running(farm_of_users()) as driver:
        await sign_in(driver)
        for command in ("password", "user password"):
            await driver.press("colon", *(" " if c == " " else c for c in command), "enter")
            await driver.at(OwnPassword)
            await driver.press("escape")
        await driver.press("colon", *"password", "enter")
        await driver.at(OwnPassword)
        assert "Another password for anna" in driver.text()
        await fill(driver, "correct horse", "short", "short")
        assert "at least 8" in driver.page("#trouble") and not driver.called("change_password")
        await fill(driver, "clever donkey", "clever donkey")
        await driver.until(lambda: "new password" in driver.said(), "it is changed")
        assert isinstance(driver.app.screen, MainScreen) and driver.client.users["anna"][0] == "clever donkey"


async def test_a_password_is_not_changed_without_the_one_there_is() -> None:
    async with running(farm_of_users()) as driver:
        await sign_in(driver)
        await driver.press("colon", *"password", "enter")
        await driver.at(OwnPassword)
        await fill(driver, "guessed it", "clever donkey", "clever donkey")
        await driver.until(lambda: "not right" in driver.page("#trouble"), "why not")
        old = driver.app.screen.query_one("#old", Input)
        assert old.value == "" and old.has_focus and driver.client.users["anna"][0] == "correct horse"
        driver.app.lock()
        await driver.at(Lock)
        driver.client.end_session()
        await driver.at(LogIn)
        assert "donkey" not in driver.text()


async def test_an_account_that_is_known_by_its_groups_has_no_password_to_change() -> None:
    async with running(farm_of_users(strange=False)) as driver:
        await driver.press("colon", *"password", "enter")
        window = await driver.at(MessageScreen)
        assert "by its groups" in window.texts[0]


# the lock

async def test_it_locks_after_a_time_without_keys_and_work_goes_on() -> None:
    clock = Clock()
    async with running(farm_of_users(), steady=clock) as driver:
        await sign_in(driver)
        await driver.press("5")
        clock.now += 599
        driver.app.lock_if_left()
        assert not driver.app.guarded
        await driver.press("down")
        clock.now += 599
        driver.app.lock_if_left()
        assert not driver.app.guarded
        clock.now += 1
        driver.app.lock_if_left()
        await driver.at(Lock)
        driver.client.push({"image": [image("fresh")]})
        await driver.until(lambda: "fresh" in driver.app.live.rows["image"], "work goes on")
        driver.app.notify("customer1 is done")
        await driver.press("ctrl+p", "escape", "q", "tab")
        assert "webserver" not in driver.text() and "customer1" not in driver.text() and driver.app.guarded
        await driver.press("backspace")
        await fill(driver, "wrong")
        await driver.until(lambda: "not right" in driver.page("#trouble"), "why not")
        await fill(driver, "correct horse")
        await driver.until(lambda: not driver.app.guarded, "open")
        assert "fresh" in driver.text() and driver.app.main.view.name == "images"


async def test_nothing_opens_over_the_lock() -> None:
    async with running(farm_of_users()) as driver:
        await sign_in(driver)
        driver.app.lock()
        await driver.at(Lock)
        driver.app.push_screen(MessageScreen("Wall of consoles", ("none of them has one",)))
        await driver.pilot.pause()
        assert isinstance(driver.app.screen, Lock)
        await fill(driver, "correct horse")
        await driver.at(MessageScreen)


async def test_an_account_that_is_known_by_its_groups_is_not_locked_out() -> None:
    clock = Clock()
    async with running(farm_of_users(strange=False), steady=clock) as driver:
        clock.now += 1e6
        driver.app.lock_if_left()
        driver.app.lock()
        await driver.pilot.pause()
        assert isinstance(driver.app.screen, MainScreen)
        assert "log out" not in driver.offered()


async def test_zero_is_never() -> None:
    client, clock = farm_of_users(), Clock()
    client.lock = 0
    async with running(client, steady=clock) as driver:
        await sign_in(driver)
        clock.now += 1e6
        driver.app.lock_if_left()
        assert not driver.app.guarded


# the end of a session

async def test_when_a_session_ends_the_same_user_finds_all_as_it_was() -> None:
    async with running(farm_of_users()) as driver:
        await sign_in(driver)
        await driver.press("5", "c")
        await driver.at(Form)
        await driver.type("neu")
        driver.client.end_session()
        await sign_in(driver)
        assert isinstance(driver.app.screen, Form) and "neu" in driver.text()


async def test_another_user_finds_nothing_of_the_one_before() -> None:
    async with running(farm_of_users()) as driver:
        await sign_in(driver)
        await driver.press("5", "c")
        await driver.at(Form)
        driver.client.end_session()
        await sign_in(driver, "bert", "battery staple")
        assert isinstance(driver.app.screen, MainScreen) and len(driver.app.screen_stack) == 1


async def test_a_session_that_ends_behind_the_lock() -> None:
    async with running(farm_of_users()) as driver:
        await sign_in(driver)
        driver.app.lock()
        await driver.at(Lock)
        driver.client.end_session()
        await driver.at(LogIn)
        assert len(driver.app.screen_stack) == 2


async def test_log_out() -> None:
    async with running(farm_of_users()) as driver:
        await sign_in(driver)
        assert driver.offered()["log out"]
        await driver.press("ctrl+o")
        await driver.at(LogIn)
        assert driver.called("log_out") == ["anna"]
        await sign_in(driver, "bert", "battery staple")
        assert "bert, viewer" in driver.text()


async def test_leaving_logs_out_also_at_the_lock_by_a_key_that_serial_lines_pass_on() -> None:
    client = farm_of_users()
    async with running(client) as driver:
        await sign_in(driver)
        driver.app.lock()
        await driver.at(Lock)
        await driver.press("ctrl+c")
        await driver.until(lambda: not driver.app.is_running)
    assert [details for name, details in client.calls if name == "log_out"] == ["anna"]


# users

async def test_users_are_a_view() -> None:
    async with running(farm_of_users(strange=False), size=(80, 24)) as driver:
        await driver.press("colon", *"users", "enter")
        for word in ("anna", "operator", "administrator", "known", "/dev/tty1 as console", "10m"):
            assert word in driver.text()
        assert {"add", "password", "role", "remove"} <= set(driver.offered())


async def test_a_password_in_a_form_is_not_seen() -> None:
    client = farm_of_users(strange=False)
    client.plans["user.add"] = {
        "operation": "user.add", "object": "user/carl", "sort": "record", "steps": [], "warnings": [], "notes": [],
        "no_return": None, "destructive": False, "confirm": "", "command": "qrm user add carl --role viewer"}
    async with running(client) as driver:
        await driver.press("colon", *"users", "enter", "a")
        form = await driver.at(Form)
        await driver.type("carl")
        await driver.press("down", "down")
        await driver.type(" secret word")
        assert "secret" not in driver.text() and "--password" not in driver.text()
        assert "$ qrm user add carl" in driver.text()
        await driver.press("enter")
        await driver.at(PlanScreen)
        (operation, sent), = driver.called("plan")
        assert operation == "user.add" and sent["password"] == " secret word"
        assert form.request.arguments == {}


async def test_a_password_is_not_typed_where_it_is_seen() -> None:
    async with running(farm_of_users(strange=False)) as driver:
        await driver.press("colon", *"user password anna --password secret", "enter")
        assert "no option --password" in driver.text()
