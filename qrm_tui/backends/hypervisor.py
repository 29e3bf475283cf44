"""What Xen and the kernel of its first domain are told on their command lines.

Xen's words: xenbits.xen.org/docs/4.17-testing/misc/xen-command-line.html. A serial line belongs to Xen, which shows on
it what the first domain writes on its own console, hvc0; so Linux's words for one are translated.
"""
from __future__ import annotations

import re

#: console=ttyS0,115200n8 (Linux, Documentation/admin-guide/serial-console.rst); Xen has two such lines.
_SERIAL = re.compile(r"console=ttyS(?P<line>[01])(?:,(?P<rate>[0-9]+)(?:(?P<parity>[noe])(?P<bits>[5-8])?)?r?)?")
#: Bits per second where Linux is told none.
_RATE = "9600"
_FIRST_DOMAIN_CONSOLE = "console=hvc0"


def hypervisor_words(options: str, own: str) -> str:
    """Xen's command line: `own`, and the consoles that `options` give Linux."""
    words, consoles = own.split(), []
    for word in options.split():
        match = _SERIAL.fullmatch(word)
        if match:
            port = f"com{int(match['line']) + 1}"
            words.append(f"{port}={match['rate'] or _RATE},{match['bits'] or '8'}{match['parity'] or 'n'}1")
            consoles.append(port)
    return " ".join([*words, f"console={','.join([*consoles, 'vga'])}"])


def first_domain_words(options: str) -> str:
    """Those options as the first domain's kernel gets them."""
    words = (_FIRST_DOMAIN_CONSOLE if _SERIAL.fullmatch(word) else word for word in options.split())
    return " ".join(dict.fromkeys(words))
