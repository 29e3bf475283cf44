"""Firewalls on captured output: who drops, and what is let in already."""
from __future__ import annotations

import json

import pytest

from qrm_tui.backends.firewalls import (
    Port,
    accepted,
    firewalld_open,
    firewalld_zone,
    parse_chains,
    ufw_active,
    ufw_open,
    with_include,
)
from tests.unit.machines import recorded

DHCP, TFTP, HTTP, SSH = Port("udp", 67), Port("udp", 69), Port("tcp", 80), Port("tcp", 22)


def said(name: str, question: str) -> str:
    return recorded(name).asked[question].out


def test_nftables_without_rules_drops_nothing() -> None:
    assert parse_chains(said("debian12", "nftables")) == []


def test_a_policy_that_drops_is_seen_and_what_its_rules_let_in() -> None:
    text = said("debian12-nftables", "nftables")
    (chain,) = parse_chains(text)
    assert chain[:3] == ("inet", "filter", "input")
    assert accepted(text, chain, "eth0") == {SSH}


def test_a_rule_that_drops_in_a_chain_that_is_jumped_to_counts_too() -> None:
    base = {"family": "ip", "table": "t"}
    text = json.dumps({"nftables": [
        {"chain": {**base, "name": "in", "type": "filter", "hook": "input", "prio": 0, "policy": "accept"}},
        {"chain": {**base, "name": "far"}},
        {"rule": {**base, "chain": "in", "expr": [{"jump": {"target": "far"}}]}},
        {"rule": {**base, "chain": "far", "expr": [{"drop": None}]}}]})
    assert [chain.name for chain in parse_chains(text)] == ["in"]
    assert parse_chains(text.replace('"drop"', '"accept"')) == []


@pytest.mark.parametrize(("match", "open_"), [
    ({"meta": {"key": "iifname"}}, True), ({"meta": {"key": "mark"}}, False)])
def test_a_rule_under_a_condition_counts_only_for_what_it_names(match: dict[str, object], open_: bool) -> None:
    base = {"family": "ip", "table": "t"}
    text = json.dumps({"nftables": [
        {"chain": {**base, "name": "in", "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}},
        {"rule": {**base, "chain": "in", "expr": [
            {"match": {"op": "==", "left": match, "right": "eth0"}},
            {"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}},
                       "right": {"set": [67, 69]}}}, {"accept": None}]}}]})
    (chain,) = parse_chains(text)
    assert accepted(text, chain, "eth0") == ({DHCP, TFTP} if open_ else set())
    assert accepted(text, chain, "eth1") == set()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"nftables": 1}', "null"])
def test_what_nft_did_not_print_is_nothing(text: str) -> None:
    assert parse_chains(text) == []


def test_ufw() -> None:
    status = said("ubuntu24-ufw", "ufw")
    assert ufw_active(status)
    assert not ufw_active(said("debian12", "ufw"))
    assert ufw_open(status, "eth0") == {SSH}
    more = status + "69/udp on eth0             ALLOW IN    Anywhere                   # qrm\n" \
                    "80,443/tcp                 ALLOW IN    Anywhere\n67/udp on eth1   ALLOW IN    Anywhere\n"
    assert ufw_open(more, "eth0") == {SSH, TFTP, HTTP, Port("tcp", 443)}


def test_firewalld() -> None:
    zones, every = (said("debian12-firewalld", name) for name in ("firewalld_zones", "firewalld_services"))
    assert firewalld_zone(zones, every, "eth0") == "public"
    assert firewalld_zone("", every, "eth0") == "public"
    assert firewalld_open(every, "public") == set()
    assert TFTP in firewalld_open(every.replace("  ports: \n", "  ports: 69/udp\n"), "public")
    assert DHCP in firewalld_open("home\n  services: dhcp ssh\n", "home")


def test_the_admins_file_is_added_to_once() -> None:
    text = with_include("flush ruleset\n")
    assert text == 'flush ruleset\n\n# qrm\ninclude "/etc/qrm/firewall.nft"\n'
    assert with_include(text) == text
