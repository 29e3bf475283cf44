"""apt on the server: which packages qrm installed there, and what would go if they were removed.

Formats: apt-get(8), --simulate; apt-mark(8).
"""
from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

from qrm_tui.core.facts import Removals

#: Packages that qrm installed, a name a line: they alone are removed again.
INSTALLED = "/etc/qrm/packages"
#: Packages that somebody asked for; the others came along.
ASKED_FOR_ARGV = ("apt-mark", "showmanual")
#: Holds when none of these packages is installed, whole or in part.
GONE_SCRIPT = ('for name; do case $(dpkg-query -W -f \'${db:Status-Status}\' -- "$name" 2>/dev/null) in '
               '""|not-installed|config-files) ;; *) exit 1 ;; esac; done')

#: Runs a command that only looks; what it printed.
Ask = Callable[[Sequence[str]], Awaitable[str]]


def parse_installed(text: str) -> set[str]:
    """Names in the list of packages that qrm installed."""
    return set(text.split())


def installed_text(names: Collection[str]) -> str:
    """That list."""
    return "".join(f"{name}\n" for name in sorted(names))


def going_argv(*words: str) -> tuple[str, ...]:
    return ("apt-get", "--simulate", *words)


def parse_going(text: str) -> set[str]:
    """Packages that apt would remove: `Remv apache2 [2.4.71-1~deb12u1]`."""
    return {line.split()[1] for line in text.splitlines() if line.startswith("Remv ")}


async def find_removals(names: Sequence[str], ask: Ask) -> Removals:
    """What goes with these packages, and which of them others need that somebody asked for.

    Packages that nobody needs already stay: they are somebody else's.
    """
    asked_for = set((await ask(ASKED_FOR_ARGV)).split())

    async def needed_by(*going: str) -> set[str]:
        return (parse_going(await ask(going_argv("remove", *going))) & asked_for) - set(names)

    held = {name: others for name in names if (others := tuple(sorted(await needed_by(name))))} \
        if await needed_by(*names) else {}
    free = [name for name in names if name not in held]
    if not free:
        return Removals(held=held)
    going = parse_going(await ask(going_argv("--auto-remove", "remove", *free)))
    idle = parse_going(await ask(going_argv("autoremove")))
    return Removals(goes=tuple(sorted(going - idle)), held=held)
