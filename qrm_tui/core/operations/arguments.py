"""Types of arguments: one parser each, used alike by command line, HTTP and the forms that check while one types."""
from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from qrm_tui.core import names, passwords, units
from qrm_tui.core.errors import BadInput

#: An answers file has some hundred lines.
_LONGEST_DOCUMENT = 256 << 10
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Argument(NamedTuple):
    """One argument of an operation. Its name is its option's spelling, `_` written as `-`."""

    name: str
    type: str
    help: str
    required: bool = False
    default: Any = None
    positional: bool = False
    #: takes several values (an option given again, or several names)
    many: bool = False
    choices: tuple[str, ...] = ()
    #: never shown, kept or logged; the command line takes a file with it, or asks
    secret: bool = False
    #: arguments that cannot be given together with this one; flags among them are one choice in a form
    excludes: tuple[str, ...] = ()
    #: what it means to leave it out, in a word or two, where a form lets choose
    otherwise: str = ""
    #: of a size: the smallest that can be, in bytes
    least: int = 0

    @property
    def option(self) -> str:
        return "--" + self.name.replace("_", "-")


def _text(value: str) -> str:
    if not value.isprintable():
        raise ValueError(f"{names.printable(value)!r} has control characters in it")
    if len(value) > 1000:
        raise ValueError("a text has at most 1000 characters")
    return value


def _document(value: str) -> str:
    if len(value) > _LONGEST_DOCUMENT:
        raise ValueError(f"a document has at most {_LONGEST_DOCUMENT} characters")
    return value


def _count(value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) < 1:
        raise ValueError(f"{names.printable(value)!r} is no count: a whole number from 1 on")
    return int(value)


def _fraction(value: str) -> float:
    match = re.fullmatch(r"([0-9]{1,4})\s*%?", value.strip())
    if not match or not 1 <= int(match[1]) <= 1000:
        raise ValueError(f"{names.printable(value)!r} is no share: 1% to 1000%")
    return int(match[1]) / 100


def _setting(value: str) -> tuple[str, str]:
    key, sign, text = value.partition("=")
    if not sign or not _KEY.fullmatch(key):
        raise ValueError(f"{names.printable(value)!r} is not KEY=VALUE")
    return key, _text(text)


def _host_key(value: str) -> str:
    if not re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}", value):
        raise ValueError(f"{names.printable(value)!r} is no fingerprint as `ssh-keygen -lf` prints it (SHA256:...)")
    return value


class Type(NamedTuple):
    """What a value must be: `parse` turns text into it or raises ValueError with the reason."""

    word: str
    parse: Callable[[str], Any]
    hint: str


#: Every type an argument can have. `storage`, `image`, `resource` ... name an existing object of that kind; of a
#: `document` one types the path of a file, and what is sent is its content (client.documents).
TYPES: Mapping[str, Type] = {
    "name": Type("NAME", names.check_name, "letters, digits, '_', '.', '-'"),
    "image-name": Type("NAME", names.check_volume_name, "letters, digits, '_', '.', '-'; also LVM's volume name"),
    "storage": Type("STORAGE", names.check_name, "a storage server's name"),
    "image": Type("IMAGE", names.check_name, "a filesystem-image's name"),
    "resource": Type("RESOURCE", names.check_name, "a resource's name"),
    "partition": Type("PARTITION", names.check_name, "a partition's name"),
    "host": Type("HOST", names.check_name, "a virtualization host"),
    "domain": Type("DOMAIN", names.check_name, "a domain that is none of ours, by its name here"),
    "ve": Type("VE", names.check_name, "a virtual environment's name"),
    "boot-image": Type("BOOT-IMAGE", names.check_name, "a boot-image's name"),
    "component": Type("COMPONENT", names.check_name, "a component's name"),
    "user": Type("USER", passwords.check_user_name, "a user's name"),
    "user-name": Type("NAME", passwords.check_user_name, "letters, digits, '_', '.', '-'; at most 32"),
    "password": Type("PASSWORD", passwords.check_password, f"{passwords.SHORTEST} to {passwords.LONGEST} characters"),
    "document": Type("FILE", _document, "the path of a text file"),
    "file": Type("FILE", _text, "the path of a file; - is standard input"),
    "job": Type("JOB", _count, "a job's number"),
    "count": Type("NUMBER", _count, "a whole number from 1 on"),
    "size": Type("SIZE", units.parse_size, "bytes, or with K, M, G, T: 5000M, 5G"),
    "share": Type("SHARE", _fraction, "a percentage: 20%"),
    "address": Type("ADDRESS", names.check_address, "an IP address or a host name"),
    "ip": Type("ADDRESS", names.check_ip, "an IP address (names can be answered for by others)"),
    "hostname": Type("HOST", names.check_hostname, "a host name"),
    "path": Type("PATH", names.check_path, "an absolute path"),
    "setting": Type("KEY=VALUE", _setting, "KEY=VALUE"),
    "text": Type("TEXT", _text, "a line of text"),
    "host-key": Type("SHA256:...", _host_key, "a fingerprint as ssh-keygen -lf prints it"),
    "flag": Type("", lambda value: value in ("yes", "true", "1"), "yes or no"),
    "choice": Type("WORD", _text, "one of a few words"),
}


def parse_value(argument: Argument, text: str) -> Any:
    """One value of an argument from what was typed; ValueError says why not."""
    if argument.type == "size" and argument.otherwise == "none" and text.strip() == "0":
        return None
    value = TYPES[argument.type].parse(text)
    if argument.type == "size" and value < argument.least:
        bare = "; a bare number is bytes" if text.strip().isdigit() else ""
        raise ValueError(f"{text!r} is less than {units.format_size(argument.least)}{bare}")
    if argument.choices and value not in argument.choices:
        raise ValueError(f"{names.printable(text)!r} is not one of {', '.join(argument.choices)}")
    return value


def _one(argument: Argument, value: Any) -> Any:
    if argument.type == "flag" and isinstance(value, bool):
        return value
    if argument.type == "setting" and isinstance(value, (list, tuple)) and len(value) == 2:
        value = "=".join(map(str, value))
    if isinstance(value, float) and argument.type == "share":
        value = f"{round(value * 100)}%"
    if isinstance(value, int) and not isinstance(value, bool) and argument.type in ("job", "count", "size"):
        value = str(value)
    if not isinstance(value, str) and argument.secret:
        raise ValueError("is no text")
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a {TYPES[argument.type].word or 'yes or no'}")
    return parse_value(argument, value)


def check_arguments(arguments: Sequence[Argument], given: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments of a call, parsed, with defaults; BadInput tells every trouble at once."""
    known = {argument.name: argument for argument in arguments}
    wrong = [f"{names.printable(str(name))}: there is no such argument; {names.there_are(known)}"
             for name in given if name not in known]
    result: dict[str, Any] = {}
    for argument in arguments:
        value = given.get(argument.name)
        if value is None or value == "" or value == []:
            if argument.required:
                hint = f"one of {', '.join(argument.choices)}" if argument.choices else TYPES[argument.type].hint
                wrong.append(f"{argument.name}: is needed ({hint})")
            result[argument.name] = {} if argument.type == "setting" else [] if argument.many else argument.default
            continue
        try:
            if argument.type == "setting":
                pairs = value.items() if isinstance(value, Mapping) else value if argument.many else [value]
                result[argument.name] = dict(_one(argument, pair) for pair in pairs)
            elif argument.many:
                items = value if isinstance(value, (list, tuple)) else [value]
                result[argument.name] = [_one(argument, item) for item in items]
            else:
                result[argument.name] = _one(argument, value)
        except ValueError as error:
            wrong.append(f"{argument.name}: {error}")
    wrong += [f"{argument.name}: it cannot be given together with {other}" for argument in arguments
              for other in argument.excludes if result.get(argument.name) and result.get(other)]
    if wrong:
        raise BadInput(*wrong)
    return result
