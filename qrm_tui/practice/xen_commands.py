"""xl, as Xen 4.17 prints (tests/fixtures/xl-list.txt)."""
from __future__ import annotations

from collections.abc import Sequence

from qrm_tui.practice.effects import NotPractised, good
from qrm_tui.practice.host import Host
from qrm_tui.runners.base import Completed

_HEAD = ("Name                                        ID   Mem VCPUs\tState\tTime(s)   UUID"
         "                            Reason-Code\tSecurity Label\n")
_OWN = ("Domain-0                                     0  1024     1     r-----      61.4"
        " 00000000-0000-0000-0000-000000000000        -                -\n")


def xl(host: Host, argv: Sequence[str]) -> Completed:
    """list --verbose."""
    if argv[1:] != ("list", "--verbose"):
        raise NotPractised("these arguments")
    return good(_HEAD + _OWN + "".join(f"{line}\n" for line in host.listed))
