"""Plans of what checks offer: the same address for good, rules for the firewall, a volume group, a clock, a name."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from qrm_tui.backends import firewalls, own_packages, static_address
from qrm_tui.backends.firewalls import Firewall
from qrm_tui.backends.planning import Call, Draft, Probe
from qrm_tui.core.errors import BadInput, Refused
from qrm_tui.core.facts import File, Reading
from qrm_tui.core.farm import Farm
from qrm_tui.core.names import check_volume_name, printable
from qrm_tui.core.plan import HERE, Check, Lock, Run, Step, Undo, WriteFile
from qrm_tui.install import checks, questions, steps
from qrm_tui.install.server import Server

HOSTS = "/etc/hosts"
#: Characters of a file that a fix writes into.
_LONGEST = 256 << 10
_CLOCK_UNIT = "systemd-timesyncd.service"
#: Fixes that need a package → it, and its services.
_NEEDS = {"group": ("lvm2", ()), "clock": ("systemd-timesyncd", (_CLOCK_UNIT,))}


class Wish(NamedTuple):
    """What a fix is told besides: disks and a name for a volume group."""

    disks: tuple[str, ...] = ()
    group: str = "vol"


def probe(farm: Farm, arguments: Mapping[str, Any]) -> list[Probe]:
    """Everything that checks look at."""
    return [Probe(HERE, asks=questions.everything(), packages=tuple(package for package, _ in _NEEDS.values()),
                  units=(_CLOCK_UNIT,), files=(HOSTS, firewalls.RULES, firewalls.NFTABLES, firewalls.OPENED,
                                               own_packages.INSTALLED))]


def plan_fix(call: Call) -> Draft:
    """One check's fix."""
    name = call.arguments["name"]
    server = Server(call.reading.facts(HERE), call.arguments["interface"] or "", present_settings(call.reading.farm))
    draft = Draft(f"server/{name}", locks=[Lock("component/all")])
    wish = Wish(tuple(call.arguments["disk"]), call.arguments["group"])
    add(draft, call.reading, server, name, wish)
    if name == "group" and draft.steps:
        draft.object, draft.destructive = f"server/{wish.group}", True
    return draft


def add_with(draft: Draft, call: Call, name: str, settings: Mapping[str, Mapping[str, str]]) -> None:
    """A check's fix, in front of an installation with these settings."""
    if name == "group":
        raise Refused("group: disks are taken by a job of its own, whose name is typed: qrm install fix group")
    server = Server(call.reading.facts(HERE), settings.get("dhcpd", {}).get("interface", ""), settings)
    add(draft, call.reading, server, name, Wish())


def present_settings(farm: Farm) -> dict[str, dict[str, str]]:
    """Settings of components that are set up, and on."""
    return {item.name: item.wanted.settings for item in farm.all("component") if item.wanted.enabled}


def add(draft: Draft, reading: Reading, server: Server, name: str, wish: Wish) -> None:
    """A check's fix as steps; Refused where it has none."""
    if name not in checks.CHECKS:
        raise BadInput(f"name: there is no check {printable(name)!r}; there are {', '.join(checks.CHECKS)}")
    told = checks.CHECKS[name](server)
    if told.state == "ok":
        draft.notes.append(f"{name}: {told.found}: nothing is to be done")
        return
    if not told.fix or name not in FIXES:
        raise Refused(f"{name}: {told.found}: {told.advice or 'nothing can be done about it here'}")
    for question in _ASKED[name]:
        reading.ask(HERE, "asked", question)
    package, services = _NEEDS.get(name, ("", ()))
    if package and not reading.ask(HERE, "package", package):
        draft.steps += steps.install_packages([package], services, reading.file(HERE, own_packages.INSTALLED),
                                              draft.steps)
    draft.steps += FIXES[name](reading, server, wish)


def _address(reading: Reading, server: Server, wish: Wish) -> list[Step]:
    wanted = server.wanted_address
    assert wanted is not None
    files = dict(server.facts.files)
    for path in static_address.files_of(wanted, server.keeper):
        files[path] = reading.file(HERE, path)
    return static_address.plan(wanted, server.keeper, files)


def _firewall(reading: Reading, server: Server, wish: Wish) -> list[Step]:
    firewall, interface = server.firewall, server.chosen.name if server.chosen else ""
    match firewall.kind:
        case "ufw":
            return [Run(machine=HERE, summary=f"ufw lets in {port} on {interface}",
                        argv=firewalls.ufw_argv(port, interface),
                        undo=Undo(argv=("ufw", "delete", *firewalls.ufw_argv(port, interface)[1:-2])))
                    for port in firewall.closed]
        case "firewalld":
            noted = reading.file(HERE, firewalls.OPENED)
            opened = firewalls.parse_opened(noted.content if noted else "") | {
                (firewall.zone, port) for port in firewall.closed}
            note = _write(firewalls.OPENED, firewalls.opened_text(opened), noted, ())
            return [*([note] if note else []), *(
                Run(machine=HERE, summary=f"firewalld lets in {port} in the zone {firewall.zone}"
                    f"{', after its next start, too' if permanent else ''}",
                    argv=firewalls.firewalld_argv(port, firewall.zone, permanent=permanent),
                    undo=Undo(argv=firewalls.firewalld_argv(port, firewall.zone, permanent=permanent, verb="remove")))
                for port in firewall.closed for permanent in (False, True))]
    return _nftables(reading, server, firewall, interface)


def _nftables(reading: Reading, server: Server, firewall: Firewall, interface: str) -> list[Step]:
    ports = sorted({*firewall.closed, *(firewalls.Port(port.protocol, int(port.port)) for _, port in server.ports())})
    checker = ("nft", "--check", "--file", "{file}")
    made: list[Step] = []
    text = firewalls.nftables_text(firewall.chains, ports, interface)
    if (step := _write(firewalls.RULES, text, reading.file(HERE, firewalls.RULES), checker)) is not None:
        made.append(step)
    configuration = reading.file(HERE, firewalls.NFTABLES)
    if configuration is not None:
        included = firewalls.with_include(configuration.content)
        if (step := _write(firewalls.NFTABLES, included, configuration, ())) is not None:
            made.append(step)
    first, marked = firewall.chains[0], firewalls.nftables_mark(ports, interface)
    flush = "; ".join(dict.fromkeys(f"flush chain {chain.family} {chain.table} {firewalls.CHAIN}"
                                    for chain in firewall.chains))
    made.append(Run(
        machine=HERE, summary=f"nftables lets in {', '.join(map(str, ports))} on {interface}",
        argv=("nft", "--file", firewalls.RULES), undo=Undo(argv=("nft", flush)),
        done=Check(argv=("nft", "list", "table", first.family, first.table), expect="has", text=marked)))
    return made


def _write(path: str, text: str, there: File | None, checker: tuple[str, ...]) -> WriteFile | None:
    if there is not None and (checks.UNREADABLE in there.content or "\0" in there.content):
        raise Refused(f"{path} holds bytes that are no text (UTF-8), and would not be the same afterwards: correct it "
                      "by hand")
    if there is not None and len(there.content) > _LONGEST:
        raise Refused(f"{path} has more than {_LONGEST >> 10} KiB: qrm writes into no such file; do it by hand: "
                      f"{printable(text.removeprefix(there.content), 200)}")
    if there is not None and there.content == text:
        return None
    return WriteFile(machine=HERE, summary=f"write {path}", path=path, content=text, checker=checker,
                     former=there.content if there else None, mode=there.mode if there else 0o644)


def _group(reading: Reading, server: Server, wish: Wish) -> list[Step]:
    free = {disk.path: disk for disk in server.free_disks}
    chosen = wish.disks or (next(iter(free)),)
    wrong = [f"disk: {printable(disk)} is not free; free are {', '.join(free)}" for disk in chosen if disk not in free]
    try:
        check_volume_name(wish.group)
    except ValueError as error:
        wrong.append(f"group: {error}")
    if wrong:
        raise BadInput(*wrong)
    # between the look and now, somebody may have put something on it
    blank = {disk: Check(argv=("blkid", "-p", "--", disk), expect="fails", otherwise=f"{disk} is no longer empty")
             for disk in chosen}
    return [
        *(Run(machine=HERE, summary=f"{disk} becomes a physical volume", argv=("pvcreate", "--yes", "--", disk),
              done=Check(argv=("pvs", "--noheadings", "--", disk)), guards=(blank[disk],),
              undo=Undo(argv=("pvremove", "--yes", "--", disk))) for disk in chosen),
        Run(machine=HERE, summary=f"make the volume group {wish.group} of {', '.join(chosen)}",
            argv=("vgcreate", "--yes", "--", wish.group, *chosen),
            done=Check(argv=("vgs", "--noheadings", "--", wish.group)),
            undo=Undo(argv=("vgremove", "--yes", "--", wish.group))),
    ]


def _clock(reading: Reading, server: Server, wish: Wish) -> list[Step]:
    return [steps.enable(_CLOCK_UNIT), steps.restart(_CLOCK_UNIT, was_active=False)]


def _names(reading: Reading, server: Server, wish: Wish) -> list[Step]:
    file, wanted = reading.file(HERE, HOSTS), server.wanted_address
    assert wanted is not None
    name = server.out("host").strip() or server.text("/etc/hostname").strip()
    names = [name] if "." in name or not wanted.domain else [f"{name}.{wanted.domain}", name]
    step = _write(HOSTS, static_address.with_host(file.content if file else "127.0.0.1\tlocalhost\n", wanted.address,
                                                  names), file, ())
    return [step] if step else []


#: Fixes by the name of their check.
FIXES: Mapping[str, Callable[[Reading, Server, Wish], Sequence[Step]]] = {
    "address": _address, "firewall": _firewall, "group": _group, "clock": _clock, "names": _names,
}
#: What each relies on besides files.
_ASKED: Mapping[str, tuple[str, ...]] = {
    "address": ("addresses",), "firewall": ("nftables", "ufw", "firewalld_services"), "group": ("disks", "groups"),
    "clock": (), "names": ("host",),
}
