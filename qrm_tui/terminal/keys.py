"""What keys and pasted text are to the other side of a console: bytes, as an xterm sends them (ctlseqs)."""

from __future__ import annotations

_PLAIN = {
    "enter": b"\r", "tab": b"\t", "escape": b"\x1b", "backspace": b"\x7f", "space": b" ", "shift+tab": b"\x1b[Z",
    "shift+enter": b"\r", "ctrl+enter": b"\r", "ctrl+backspace": b"\x08", "ctrl+@": b"\x00", "ctrl+space": b"\x00",
    "ctrl+backslash": b"\x1c", "ctrl+right_square_bracket": b"\x1d", "ctrl+circumflex_accent": b"\x1e",
    "ctrl+underscore": b"\x1f",
}
_PLAIN |= {f"ctrl+{chr(code + 96)}": bytes((code,)) for code in range(1, 27)}
_LETTERS = {"up": "A", "down": "B", "right": "C", "left": "D", "home": "H", "end": "F"}
_NUMBERS = {"insert": 2, "delete": 3, "pageup": 5, "pagedown": 6, "f5": 15, "f6": 17, "f7": 18, "f8": 19, "f9": 20,
            "f10": 21, "f11": 23, "f12": 24}
_FUNCTIONS = {"f1": "P", "f2": "Q", "f3": "R", "f4": "S"}
_MODIFIERS = {"shift": 1, "alt": 2, "ctrl": 4}

_PASTE_BEGINS, _PASTE_ENDS = b"\x1b[200~", b"\x1b[201~"


def key_bytes(key: str, character: str | None, application_cursor: bool = False) -> bytes:
    """The bytes of a key by its name (`a`, `ctrl+c`, `shift+up`), empty where it has none."""
    if character is not None and len(character) == 1 and character.isprintable() and "+" not in key[:-1]:
        return character.encode("utf-8", "replace")
    if key in _PLAIN:
        return _PLAIN[key]
    *held, name = key.split("+") if key != "+" else [key]
    if not all(part in _MODIFIERS for part in held):
        return b""
    modifier = sum(_MODIFIERS[part] for part in set(held))
    if found := _named(name, modifier, application_cursor):
        return found
    if held == ["alt"]:
        plain = key_bytes(name, character if character and len(character) == 1 else name if len(name) == 1 else None)
        return b"\x1b" + plain if plain else b""
    return character.encode("utf-8", "replace") if character and character.isprintable() else b""


def _named(name: str, modifier: int, application_cursor: bool) -> bytes:
    if name in _LETTERS:
        if modifier:
            return f"\x1b[1;{modifier + 1}{_LETTERS[name]}".encode()
        return f"\x1b{'O' if application_cursor else '['}{_LETTERS[name]}".encode()
    if name in _FUNCTIONS:
        return (f"\x1b[1;{modifier + 1}{_FUNCTIONS[name]}" if modifier else f"\x1bO{_FUNCTIONS[name]}").encode()
    if name in _NUMBERS:
        return f"\x1b[{_NUMBERS[name]}{f';{modifier + 1}' if modifier else ''}~".encode()
    return b""


def pasted(text: str, bracketed: bool) -> bytes:
    """Pasted text: lines end as the enter key does, and nothing in it can end the paste or begin a sequence."""
    text = text.replace("\r\n", "\r").replace("\n", "\r")
    text = "".join(character for character in text if character in "\r\t" or character.isprintable())
    data = text.encode("utf-8", "replace")
    return _PASTE_BEGINS + data + _PASTE_ENDS if bracketed else data


def wants_asking(text: str) -> bool:
    """Whether pasting this does more than write a word: every line's end runs what stands before it."""
    return "\n" in text or "\r" in text
