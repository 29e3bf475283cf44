"""Where the database is, as people write it: what is understood, what is refused, and that no password is told."""
from __future__ import annotations

from pathlib import Path

import pytest

from qrm_tui.core import database
from qrm_tui.core.errors import BadInput
from qrm_tui.db.address import password_in, url_of

DATA = Path("/srv/qrm data")


@pytest.mark.parametrize(("given", "url"), [
    ("", "sqlite:////srv/qrm data/qrm.db"),
    ("sqlite", "sqlite:////srv/qrm data/qrm.db"),
    ("mariadb", "mariadb+pymysql://root@localhost/qrm?charset=utf8mb4&unix_socket=%2Frun%2Fmysqld%2Fmysqld.sock"),
    ("mariadb://qrm@localhost/farm",
     "mariadb+pymysql://qrm@localhost/farm?charset=utf8mb4&unix_socket=%2Frun%2Fmysqld%2Fmysqld.sock"),
    ("mariadb://qrm@localhost/farm?unix_socket=/tmp/db.sock",
     "mariadb+pymysql://qrm@localhost/farm?charset=utf8mb4&unix_socket=%2Ftmp%2Fdb.sock"),
    ("mariadb://qrm@127.0.0.1/farm", "mariadb+pymysql://qrm@127.0.0.1:3306/farm?charset=utf8mb4"),
    ("mariadb://qrm@localhost:3307/farm", "mariadb+pymysql://qrm@localhost:3307/farm?charset=utf8mb4"),
    ("mariadb://q.r-m_1@db.example.net:65535/farm_2",
     "mariadb+pymysql://q.r-m_1@db.example.net:65535/farm_2?charset=utf8mb4"),
    ("mariadb://qrm@[2001:db8::1]:3306/qrm", "mariadb+pymysql://qrm@[2001:db8::1]:3306/qrm?charset=utf8mb4"),
])
def test_a_place_is_a_url(given: str, url: str) -> None:
    assert database.wrong_with(given) == ""
    assert url_of(given, DATA).render_as_string(hide_password=False) == url


@pytest.mark.parametrize(("given", "reason"), [
    ("mysql", "'mysql' is no kind of database that qrmd has: sqlite, mariadb"),
    ("postgresql://qrm:hunter2@db/qrm", "'postgresql' is no kind of database"),
    ("mysql+pymysql://qrm:hunter2@db/qrm", "'mysql+pymysql' is no kind of database"),
    ("/var/lib/qrm", "that is no database: sqlite, mariadb"),
    ("SQLite", "'SQLite' is no kind"),
    ("mariadb:", "wanted is sqlite, mariadb (on this machine), or mariadb://"),
    ("mariadb://", "names no user"),
    ("mariadb://db/qrm", "names no user"),
    ("mariadb://@db/qrm", "names no user"),
    ("mariadb://qrm@", "names no host"),
    ("mariadb://qrm@/qrm", "names no host"),
    ("mariadb://qrm@db", "names no database: mariadb://qrm@db/qrm"),
    ("mariadb://qrm@db/", "names no database"),
    ("mariadb://qrm:hunter2@db/qrm", "keep the password in a file"),
    ("mariadb://qrm:hunter2@x@db/qrm", "keep the password in a file"),
    ("mariadb://qrm:@db/qrm", "keep the password in a file"),
    ("mariadb://qrm@db:0/qrm", "'0' is no port: 1 to 65535"),
    ("mariadb://qrm@db:65536/qrm", "'65536' is no port"),
    ("mariadb://qrm@db:/qrm", "'' is no port"),
    ("mariadb://qrm@10.0.0.256/qrm", "'10.0.0.256' is no address"),
    ("mariadb://qrm@under_score/qrm", "is no host name"),
    ("mariadb://qrm@2001:db8::1/qrm", "IPv6 is [ADDRESS]"),
    ("mariadb://qrm@[nonsense]/qrm", "is no IP address"),
    ("mariadb://q%72m@db/qrm", "'q%72m' is no user"),
    ("mariadb://qrm@db/q;rm", "'q;rm' is no name of a database"),
    ("mariadb://qrm@db/qrm?charset=latin1", "'qrm?charset=latin1' is no name of a database"),
    ("mariadb://qrm@db/1st", "beginning with a letter"),
    ("mariadb://qrm@db/qrm ", "without blanks and controls"),
    ("mariadb://qrm@db/q\x1brm", "without blanks and controls"),
    ("mariadb://qrm@db/" + "q" * 500, "at most 500 characters"),
    ("mariadb://qrm@db/qrm?unix_socket=/tmp/s", "a socket is on this machine"),
    ("mariadb://qrm@localhost/qrm?unix_socket=s", "is no absolute path"),
])
def test_a_wrong_place_is_told_with_the_reason(given: str, reason: str) -> None:
    assert reason in database.wrong_with(given)
    assert "hunter2" not in database.wrong_with(given)
    with pytest.raises(BadInput, match=r"^database: "):
        url_of(given, DATA)


def test_whatever_is_typed_is_told_without_a_word_of_the_password() -> None:
    """A form judges every beginning of it."""
    whole = "mariadb://qrm:hunter2@db.example.net:3306/qrm"
    for length in range(len(whole)):
        typed = whole[:length]
        assert (database.wrong_with(typed) == "") is (typed in ("", "mariadb"))
        assert "hunt" not in database.wrong_with(typed)


def test_a_url_does_not_show_its_password() -> None:
    url = url_of("mariadb://qrm@db/qrm", DATA, "hun:ter@2/%")
    assert url.password == "hun:ter@2/%"
    assert "ter" not in f"{url} {url!r}"


def test_a_password_is_the_first_line_of_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("pässword with blanks \r\nand more\n")
    file.chmod(0o600)
    assert password_in(file) == "pässword with blanks "


@pytest.mark.parametrize(("content", "mode", "reason"), [
    (b"secret\n", 0o640, "others can read it .mode 0640.: chmod 600 "),
    (b"secret\n", 0o604, "others can read it"),
    (b"", 0o600, "is empty"),
    (b"\nsecret", 0o600, "is empty"),
    (b"s\xffcret\n", 0o600, "in UTF-8"),
    (None, 0o600, "cannot be read: No such file"),
])
def test_a_password_file_that_cannot_be_used(tmp_path: Path, content: bytes | None, mode: int, reason: str) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
        file.chmod(mode)
    with pytest.raises(BadInput, match=reason) as caught:
        password_in(file)
    assert "secret" not in str(caught.value)


def test_a_folder_is_no_password_file(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(BadInput, match="cannot be read: Is a directory"):
        password_in(tmp_path)
