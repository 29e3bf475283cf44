"""What fixes of the server run, on a simulated one: firewalls, volume groups, whoever gives it its address."""
from __future__ import annotations

import posixpath
from collections.abc import Sequence

from qrm_tui.backends.firewalls import RULES
from qrm_tui.install.questions import commands, files_argv
from qrm_tui.practice.effects import Effects, NotPractised, bad, good, only
from qrm_tui.practice.host import Host
from qrm_tui.runners.base import Completed

_SAYS = {
    commands()["user"]: "0\n", commands()["clock"]: "NTP=yes\nNTPSynchronized=yes\n",
    commands()["disks"]: '{"blockdevices": []}\n',
}


def find(host: Host, argv: Sequence[str]) -> Completed:
    """Files in the folders that are read whole."""
    if tuple(argv) != files_argv():
        raise NotPractised("these arguments")
    folders = [word for word in argv if word.startswith("/")]
    found = [posixpath.join(folder, place.name) for folder in folders if host.root.here(folder).is_dir()
             for place in sorted(host.root.here(folder).iterdir()) if place.is_file()]
    return good("".join(f"{path}\n" for path in found))


def fixed(host: Host, argv: Sequence[str]) -> Completed:
    """What a server says of itself that nothing here changes."""
    if tuple(argv) not in _SAYS:
        raise NotPractised("these arguments")
    return good(_SAYS[tuple(argv)])


def told(host: Host, argv: Sequence[str]) -> Completed | Effects:
    """ufw, firewall-cmd, netplan, networkctl, nmcli: they do it. None of them is there to be asked."""
    changes = {"allow", "delete", "apply", "reload", "modify", "reapply"}
    if changes & set(argv) or any(word.startswith(("--add-", "--remove-")) for word in argv):
        return only(f"{argv[0]}: done", good())
    return bad(127, f"{argv[0]}: not found\n")


def keep_address(host: Host, arguments: Sequence[str]) -> Effects:
    """The script that makes a lent address stay."""
    return only(f"{arguments[0]}: kept", good())


def nft(host: Host, argv: Sequence[str]) -> Completed | Effects:
    """nftables 1.0.6: our rules are loaded, or emptied."""
    match argv:
        case ("nft", "--json", "list", "ruleset"):
            return good('{"nftables": []}\n')
        case ("nft", "--check", "--file", _):
            return good()
        case ("nft", "--file", path):
            host.filters[RULES] = host.root.read(path)
            return only(f"nft {path}: loaded", good())
        case ("nft", "list", "table", _, _):
            return good(host.filters.get(RULES, ""))
        case ("nft", commands) if commands.startswith("flush chain"):
            host.filters.pop(RULES, None)
            return only("nft: emptied", good())
    raise NotPractised("these arguments")


def make_group(host: Host, argv: Sequence[str]) -> Completed | Effects:
    """lvm2 2.03.16: pvcreate, vgcreate and their reverse, as far as one asks whether they were run."""
    match argv:
        case ("pvcreate" | "vgcreate", "--yes", "--", name, *_):
            host.software.made.add((argv[0][:2], name))
        case ("pvremove" | "vgremove", "--yes", "--", name):
            host.software.made.discard((argv[0][:2], name))
        case ("pvs", "--noheadings", "--", name):
            return good() if ("pv", name) in host.software.made else bad(5, f"  Failed to find physical volume "
                                                                            f"\"{name}\".\n")
        case _:
            raise NotPractised("these arguments")
    return only(f"{argv[0]} {name}: done", good())


def vgs(host: Host, name: str) -> Completed:
    """Whether a group was made here."""
    return good(f"  {name}\n") if ("vg", name) in host.software.made else bad(
        5, f"  Volume group \"{name}\" not found\n  Cannot process volume group {name}\n")
