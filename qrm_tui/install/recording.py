"""What a machine said when it was asked, as one document (JSON): made on a real one, and shown anywhere.

Texts are lists of their lines, so that a document can be read, compared and edited.
"""
from __future__ import annotations

import json
import re
from typing import Any

from qrm_tui.core.errors import BadInput
from qrm_tui.core.facts import Answered, File, MachineFacts
from qrm_tui.core.names import printable

#: Of files: what is never kept (wpa_supplicant.conf(5), netplan(5), systemd.netdev(5)).
_SECRET = re.compile(r"^(\s*[\"']?[\w.-]*(?:password|passphrase|psk|secret|privatekey|private-key|presharedkey)"
                     r"[\w.-]*[\"']?\s*[:=]\s*|\s*[\w-]*(?:psk|passphrase|password|wep-key\d?)\s+).+$", re.IGNORECASE)


def encode(facts: MachineFacts, what: str = "") -> str:
    """The document; passwords and keys in files are left out."""
    document = {
        "what": what,
        "answers": {name: {key: value for key, value in (
            ("status", answer.status), ("out", _lines(answer.out)), ("err", _lines(answer.err))) if value}
            for name, answer in facts.asked.items()},
        "files": {path: {"mode": f"{file.mode:04o}", "text": [_SECRET.sub(r"\1***", line)
                                                              for line in _lines(file.content)]}
                  for path, file in facts.files.items() if file is not None},
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def decode(text: str) -> MachineFacts:
    """The machine of a document; BadInput says what is wrong with it."""
    try:
        document = json.loads(text)
        if not isinstance(document, dict) or set(document) != {"what", "answers", "files"}:
            raise ValueError("a recorded machine has what, answers and files")
        asked = {str(name): Answered(status=int(answer.get("status", 0)), out=_text(answer.get("out", [])),
                                     err=_text(answer.get("err", []))) for name, answer in document["answers"].items()}
        files: dict[str, File | None] = {
            str(path): File(content=_text(file["text"]), mode=int(file["mode"], 8))
            for path, file in document["files"].items()}
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise BadInput(f"this is no recorded machine: {printable(str(error), 200)}; qrm install record makes one"
                       ) from None
    return MachineFacts(asked=asked, files=files)


def _text(lines: Any) -> str:
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise ValueError("a text is a list of its lines")
    return "".join(f"{line}\n" for line in lines)
