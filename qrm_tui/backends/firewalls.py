"""Firewalls of the server: which one holds packets back, what it lets in already, and the rules that are missing.

Rules are added to what is there: nothing is switched off. Formats: libnftables-json(5), ufw(8), firewall-cmd(1).
"""
from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from qrm_tui.backends.rendering import render

#: Our rules for nftables, which the admin's own file includes last.
RULES = "/etc/qrm/firewall.nft"
NFTABLES = "/etc/nftables.conf"
INCLUDE = f'include "{RULES}"'
#: Ports that we opened in firewalld's zones, `ZONE PORT/PROTOCOL` a line: it keeps no word on whose they are.
OPENED = "/etc/qrm/firewalld.ports"
#: The chain with our rules, in the admin's own table: what another table accepts, theirs would still drop.
CHAIN = "qrm"


class Port(NamedTuple):
    """A port that machines must reach: tcp or udp, and its number."""

    protocol: str
    number: int

    def __str__(self) -> str:
        return f"{self.number}/{self.protocol}"


class Chain(NamedTuple):
    """A chain of nftables that looks at packets for this machine, and may drop them."""

    family: str
    table: str
    name: str
    drops: bool


def parse_chains(text: str) -> list[Chain]:
    """Chains at the hook `input` that drop or reject what nobody lets in: by policy, or by a rule of theirs."""
    entries = _entries(text)
    chains = [entry["chain"] for entry in entries if "chain" in entry]
    rules = [entry["rule"] for entry in entries if "rule" in entry]
    found = []
    for chain in chains:
        if chain.get("hook") != "input" or chain.get("type") != "filter":
            continue
        reached = _reached(chain, rules)
        drops = chain.get("policy") == "drop" or any(
            verdict in statement for rule in rules if rule["chain"] in reached and _same_table(rule, chain)
            for statement in rule.get("expr", ()) for verdict in ("drop", "reject"))
        found.append(Chain(chain["family"], chain["table"], chain["name"], drops))
    return [chain for chain in found if chain.drops]


def _entries(text: str) -> list[Mapping[str, Any]]:
    """What `nft --json list ruleset` lists; nothing where it printed something else."""
    try:
        found = json.loads(text)["nftables"]
    except (ValueError, KeyError, TypeError):
        return []
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _same_table(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return (one["family"], one["table"]) == (other["family"], other["table"])


def _reached(chain: Mapping[str, Any], rules: Sequence[Mapping[str, Any]]) -> set[str]:
    """Names of chains that packets come to from this one."""
    reached, waiting = {chain["name"]}, [chain["name"]]
    while waiting:
        at = waiting.pop()
        for rule in rules:
            if rule["chain"] != at or not _same_table(rule, chain):
                continue
            for statement in rule.get("expr", ()):
                for word in ("jump", "goto"):
                    target = statement.get(word, {}).get("target") if isinstance(statement, dict) else None
                    if target and target not in reached:
                        reached.add(target)
                        waiting.append(target)
    return reached


def accepted(text: str, chain: Chain, interface: str) -> set[Port]:
    """Ports that a chain lets in from an interface, as far as its own rules tell plainly."""
    found: set[Port] = set()
    for entry in _entries(text):
        rule = entry.get("rule")
        if not rule or not _same_table(rule, chain._asdict()) or rule["chain"] not in (chain.name, CHAIN):
            continue
        found |= _let_in(rule.get("expr", ()), interface)
    return found


def _let_in(statements: Sequence[Mapping[str, Any]], interface: str) -> set[Port]:
    ports: set[Port] = set()
    if not any("accept" in statement for statement in statements):
        return ports
    for statement in statements:
        match = statement.get("match")
        if not match:
            continue
        left, right = match.get("left", {}), match.get("right")
        values = right.get("set", []) if isinstance(right, dict) else [right]
        if "meta" in left and left["meta"].get("key") in ("iif", "iifname"):
            if interface not in values:
                return set()
        elif "payload" in left and left["payload"].get("field") == "dport":
            ports |= {Port(left["payload"]["protocol"], value) for value in values if isinstance(value, int)}
        else:
            return set()   # under a condition of another kind: nothing can be told
    return ports


class Firewall(NamedTuple):
    """What holds packets back: `kind` is firewalld, ufw, nftables, or empty where nothing does."""

    kind: str
    #: ports that machines must reach and cannot, as far as can be told
    closed: tuple[Port, ...] = ()
    chains: tuple[Chain, ...] = ()
    #: of firewalld: the interface's zone
    zone: str = ""


def ufw_active(status: str) -> bool:
    """Whether `ufw status` says that it is at work."""
    return status.startswith("Status: active")


def ufw_open(status: str, interface: str) -> set[Port]:
    """Ports that ufw lets in: `67/udp on eth0   ALLOW IN   Anywhere`; `80,443/tcp`; `80` is both."""
    found: set[Port] = set()
    for line in status.splitlines():
        match = re.match(r"([0-9,]+)(?:/(tcp|udp))?(?: on (\S+))?\s+ALLOW IN\s+Anywhere(?:\s|$)", line)
        if match and match[3] in (None, interface):
            found |= {Port(protocol, int(number)) for number in match[1].split(",") if number
                      for protocol in ([match[2]] if match[2] else ["tcp", "udp"])}
    return found


def firewalld_zone(zones: str, every: str, interface: str) -> str:
    """The zone that an interface is in (`firewall-cmd --get-active-zones`), or the default one."""
    zone = ""
    for line in zones.splitlines():
        if line and not line[0].isspace():
            zone = line.split()[0]
        elif line.strip().startswith("interfaces:") and interface in line.split()[1:]:
            return zone
    match = re.search(r"^(\S+) \(.*default.*\)$", every, re.MULTILINE)
    return match[1] if match else zone or "public"


#: firewalld's own names for ports that we ask for (/usr/lib/firewalld/services).
_SERVICES: Mapping[str, Port] = {
    "dhcp": Port("udp", 67), "tftp": Port("udp", 69), "http": Port("tcp", 80), "nfs": Port("tcp", 2049),
    "rpc-bind": Port("tcp", 111), "mountd": Port("tcp", 20048),
}


def firewalld_open(every: str, zone: str) -> set[Port]:
    """Ports and services of a zone, from `firewall-cmd --list-all-zones`."""
    found: set[Port] = set()
    inside = False
    for line in every.splitlines():
        if line and not line[0].isspace():
            inside = line.split()[0] == zone
        elif inside:
            key, _, rest = line.strip().partition(":")
            if key == "services":
                found |= {_SERVICES[name] for name in rest.split() if name in _SERVICES}
            elif key == "ports":
                found |= {Port(protocol, int(number)) for word in rest.split()
                          for number, _, protocol in [word.partition("/")] if number.isdigit()}
    return found


# rules


def ufw_argv(port: Port, interface: str) -> tuple[str, ...]:
    return ("ufw", "allow", "in", "on", interface, "to", "any", "port", str(port.number), "proto", port.protocol,
            "comment", "qrm")


def firewalld_argv(port: Port, zone: str, *, permanent: bool, verb: str = "add") -> tuple[str, ...]:
    return ("firewall-cmd", *(("--permanent",) if permanent else ()), f"--zone={zone}",
            f"--{verb}-port={port.number}/{port.protocol}")


# what was opened


def ufw_ours(status: str) -> list[tuple[str, Port]]:
    """Interface and port of each of our rules: `67/udp on eth0   ALLOW IN   Anywhere   # qrm`."""
    found = re.findall(r"^([0-9]+)/(tcp|udp) on (\S+)\s+ALLOW IN\s+Anywhere\s+# qrm\s*$", status, re.MULTILINE)
    return [(interface, Port(protocol, int(number))) for number, protocol, interface in found]


def parse_opened(text: str) -> set[tuple[str, Port]]:
    """Zone and port of each line of OPENED."""
    return {(zone, _port(word)) for line in text.splitlines() for zone, _, word in [line.partition(" ")] if word}


def opened_text(opened: Iterable[tuple[str, Port]]) -> str:
    return "".join(f"{zone} {port}\n" for zone, port in sorted(opened))


def _port(word: str) -> Port:
    number, _, protocol = word.partition("/")
    return Port(protocol, int(number))


def parse_rules(text: str) -> tuple[list[Chain], list[Port], str]:
    """Chains, ports and interface of our rules for nftables, as `nftables_text` writes them."""
    jumps: list[tuple[str, str, str]] = re.findall(r"^insert rule (\S+) (\S+) (\S+) jump qrm$", text, re.MULTILINE)
    chains = [Chain(family, name, chain, True) for family, name, chain in jumps]
    rules = re.findall(r'^add rule .* iifname "([^"]+)" (tcp|udp) dport { ([0-9, ]+) } accept', text, re.MULTILINE)
    ports = {Port(protocol, int(number)) for _, protocol, numbers in rules for number in numbers.split(", ")}
    return chains, sorted(ports), rules[0][0] if rules else ""


def without_include(text: str) -> str:
    """The admin's nftables.conf without our rules."""
    return text.replace(f"\n# qrm\n{INCLUDE}\n", "").replace(f"{INCLUDE}\n", "")


# rules of ours


def nftables_mark(ports: Sequence[Port], interface: str) -> str:
    """The comment of our rules in the kernel, by which they are found."""
    return f"qrm {interface} {' '.join(sorted(map(str, ports)))}"[:128]


def nftables_text(chains: Iterable[Chain], ports: Sequence[Port], interface: str) -> str:
    """Rules that the admin's own chains ask first; read again, they take the place of the former ones."""
    of = {protocol: sorted(port.number for port in ports if port.protocol == protocol) for protocol in ("tcp", "udp")}
    return render("nftables/firewall.nft.j2", chains=list(chains), interface=interface,
                  mark=nftables_mark(ports, interface),
                  ports={protocol: numbers for protocol, numbers in of.items() if numbers})


def with_include(text: str) -> str:
    """The admin's nftables.conf, with our rules read last."""
    return text if INCLUDE in text.splitlines() else f"{text.rstrip()}\n\n# qrm\n{INCLUDE}\n"
