"""Where qrmd keeps what it knows: which folders and databases, and what a file says of it."""
from __future__ import annotations

import pytest

from qrm_tui.core.data_place import USUAL, Place, check_data_folder, read_place


@pytest.mark.parametrize(("folder", "kept"), [
    (USUAL, USUAL), ("/data", "/data"), ("/srv/farm", "/srv/farm"), ("//data//qrm/", "/data/qrm"),
    ("/root/qrm", "/root/qrm"), ("/home/qrm-data", "/home/qrm-data"), ("/runner", "/runner"),
])
def test_a_folder_of_its_own(folder: str, kept: str) -> None:
    assert check_data_folder(folder) == kept


@pytest.mark.parametrize(("folder", "reason"), [
    ("data", "is no absolute path"), ("/data/../etc", "is no absolute path"), ("/a b", "has other signs in it"),
    ("/data%n", "has other signs in it"), ('/d"', "has other signs in it"), ("/" + "x" * 60, "at most 60 characters"),
    ("/", "is everybody's"), ("/srv", "is everybody's, and qrmd closes its folder to others: name one in it, as in "
                                      "/srv/qrm-data"), ("/var/lib", "is everybody's"),
    ("/tmp/qrm", "/tmp is gone with the next boot"), ("/run", "/run is gone"), ("/proc/1", "is the kernel's"),
    ("/srv/qrm", "is handed out to machines"), ("/srv/qrm/boot/data", "is handed out to machines"),
    ("/etc/qrm", "/etc is for settings"), ("/usr/share/qrm", "is the system's own"),
])
def test_a_folder_that_is_not_for_it(folder: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_data_folder(folder)


def test_what_a_file_says_with_the_usual_for_the_rest() -> None:
    assert read_place("") == Place()
    assert read_place('data = "/data/qrm"\ndatabase = "mariadb"') == Place(data="/data/qrm", database="mariadb")


@pytest.mark.parametrize(("text", "reason"), [
    ("data = /data", "Invalid value"), ("folder = '/data'", "there is no 'folder'; there are data, database"),
    ("data = 5", "data is a text, in quotes"), ("data = ''", "data: '' is no absolute path"),
    ("database = 'oracle'", "database: 'oracle' is no kind of database"),
    ("database = 'mariadb://qrm:secret@db/qrm'", "database: keep the password in a file"),
    ("password_file = 'secret'", "password_file: 'secret' is no absolute path"),
])
def test_what_is_wrong_in_a_file(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as wrong:
        read_place(text)
    assert "secret@" not in str(wrong.value)


@pytest.mark.parametrize(("database", "here"), [
    ("sqlite", False), ("mariadb", True), ("mariadb://qrm@localhost/qrm", True),
    ("mariadb://qrm@127.0.0.1:3307/q", True), ("mariadb://qrm@db.example/qrm", False),
])
def test_whether_its_database_is_this_machines_mariadb(database: str, here: bool) -> None:
    assert Place(database=database).here is here
