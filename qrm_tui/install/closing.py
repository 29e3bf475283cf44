"""Ports that a fix opened in the server's firewall, closed again when nothing listens there any more."""
from __future__ import annotations

from collections.abc import Collection

from qrm_tui.backends import firewalls
from qrm_tui.backends.firewalls import Port
from qrm_tui.backends.planning import Draft
from qrm_tui.core.facts import Reading
from qrm_tui.core.plan import HERE, RemoveFile, Run, Step, Undo, WriteFile

#: Questions of data/machine.toml, and files, that tell what is open.
ASKS = ("ufw", "firewalld")
FILES = (firewalls.RULES, firewalls.NFTABLES, firewalls.OPENED)


def close_ports(draft: Draft, reading: Reading, ports: Collection[Port]) -> None:
    """Steps that take back what was opened for these ports, by whichever firewall did it."""
    draft.steps += [*_ufw(reading, ports), *_firewalld(draft, reading, ports), *_nftables(reading, ports)]


def _ufw(reading: Reading, ports: Collection[Port]) -> list[Step]:
    made: list[Step] = []
    for interface, port in firewalls.ufw_ours(reading.ask(HERE, "asked", "ufw")):
        if port in ports:
            argv = firewalls.ufw_argv(port, interface)
            made.append(Run(machine=HERE, summary=f"ufw no longer lets in {port} on {interface}",
                            argv=("ufw", "delete", *argv[1:-2]), undo=Undo(argv=argv)))
    return made


def _firewalld(draft: Draft, reading: Reading, ports: Collection[Port]) -> list[Step]:
    noted = reading.file(HERE, firewalls.OPENED)
    opened = firewalls.parse_opened(noted.content if noted else "")
    closed = {(zone, port) for zone, port in opened if port in ports}
    if not noted or not closed:
        return []
    if not reading.ask(HERE, "asked", "firewalld").startswith("running"):
        draft.warnings.append("firewalld does not run: what was opened in its zones stays open "
                              f"({', '.join(f'{port} in {zone}' for zone, port in sorted(closed))})")
        return []
    made: list[Step] = [
        Run(machine=HERE, summary=f"firewalld no longer lets in {port} in the zone {zone}"
            f"{', after its next start, too' if permanent else ''}",
            argv=firewalls.firewalld_argv(port, zone, permanent=permanent, verb="remove"),
            undo=Undo(argv=firewalls.firewalld_argv(port, zone, permanent=permanent)))
        for zone, port in sorted(closed) for permanent in (False, True)]
    left = firewalls.opened_text(opened - closed)
    if left:
        return [*made, WriteFile(machine=HERE, summary=f"write {firewalls.OPENED}", path=firewalls.OPENED,
                                 content=left, former=noted.content, mode=noted.mode)]
    return [*made, RemoveFile(machine=HERE, summary=f"remove {firewalls.OPENED}", path=firewalls.OPENED,
                              former=noted.content, mode=noted.mode)]


def _nftables(reading: Reading, ports: Collection[Port]) -> list[Step]:
    rules = reading.file(HERE, firewalls.RULES)
    if rules is None:
        return []
    chains, opened, interface = firewalls.parse_rules(rules.content)
    left = [port for port in opened if port not in ports]
    load = ("nft", "--file", firewalls.RULES)
    if left == opened:
        return []
    if left:
        return [
            WriteFile(machine=HERE, summary=f"write {firewalls.RULES}", path=firewalls.RULES, mode=rules.mode,
                      content=firewalls.nftables_text(chains, left, interface), former=rules.content,
                      checker=("nft", "--check", "--file", "{file}"), tells=load),
            Run(machine=HERE, summary=f"nftables lets in {', '.join(map(str, left))} on {interface} alone", argv=load),
        ]
    flush = "; ".join(dict.fromkeys(f"flush chain {chain.family} {chain.table} {firewalls.CHAIN}" for chain in chains))
    made: list[Step] = [Run(machine=HERE, summary="nftables lets in nothing for qrm any more (an empty chain stays "
                            "until its next start)", argv=("nft", flush), undo=Undo(argv=load))]
    configuration = reading.file(HERE, firewalls.NFTABLES)
    if configuration and (text := firewalls.without_include(configuration.content)) != configuration.content:
        made.append(WriteFile(machine=HERE, summary=f"write {firewalls.NFTABLES}", path=firewalls.NFTABLES,
                              content=text, former=configuration.content, mode=configuration.mode))
    return [*made, RemoveFile(machine=HERE, summary=f"remove {firewalls.RULES}", path=firewalls.RULES,
                              former=rules.content, mode=rules.mode)]
