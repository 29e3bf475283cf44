"""What users' names and passwords must be. Pure, and without the server's machinery: forms check while one types."""
from __future__ import annotations

from qrm_tui.core.names import check_name

#: A journal's entry has 64 characters for who it was.
LONGEST_NAME = 32
SHORTEST, LONGEST = 8, 128
#: Different characters in a password at least.
_DIFFERENT = 4
#: A name of fewer characters may be in a password by chance.
_TELLING = 3
#: The user that a new server has, and the password that everybody knows, good until its first log-in.
FIRST_USER = FIRST_PASSWORD = "qrm"


def check_user_name(text: str) -> str:
    """A user's name; ValueError says why not."""
    if len(text) > LONGEST_NAME:
        raise ValueError(f"it has {len(text)} characters; a user's name has at most {LONGEST_NAME}")
    return check_name(text, "user's name")


def same_form(password: str) -> str:
    """A password in one form, whichever way a keyboard writes its accents (Unicode's NFC)."""
    if password.isascii():
        return password
    import unicodedata  # only for those who need it

    return unicodedata.normalize("NFC", password)


def check_password(text: str) -> str:
    """A new password; ValueError says why not, and never what it is."""
    if not text.isprintable():
        raise ValueError("a password has no control characters in it")
    text = same_form(text)
    if len(text) < SHORTEST:
        raise ValueError(f"a password has at least {SHORTEST} characters")
    if len(text) > LONGEST:
        raise ValueError(f"a password has at most {LONGEST} characters")
    if len(set(text)) < _DIFFERENT:
        raise ValueError(f"a password has at least {_DIFFERENT} different characters")
    return text


def trouble_with(name: str, password: str) -> str:
    """Why this user should not have this password; empty if they may."""
    if len(name) >= _TELLING and name.casefold() in password.casefold():
        return "the user's name may not be in it: that is what others try first"
    return ""
