"""ipmitool and wakeonlan on a simulated server: they reach the simulated machines of its rack."""
from __future__ import annotations

from collections.abc import Sequence

from qrm_tui.practice.effects import Effects, NotPractised, bad, good, only
from qrm_tui.practice.host import Host
from qrm_tui.runners.base import Completed


def ipmitool(host: Host, argv: Sequence[str]) -> Completed | Effects:
    """chassis power status, on, off, reset (ipmitool 1.8.19); machine N's controller is at 192.168.89.N."""
    match argv:
        case ("ipmitool", "-I", "lanplus", "-N", _, "-R", _, "-H", address, "-U", _, "-f", secret, "chassis", "power",
              action):
            if not host.root.exists(secret):
                return bad(1, f"Unable to open password file {secret}\n")
            node = host.rack.at_controller(address) if host.rack else None
            if node is None:
                return bad(1, "Error: Unable to establish IPMI v2 / RMCP+ session\n")
            if action == "status":
                return good(f"Chassis Power is {'on' if node.on else 'off'}\n")
            if action == "on":
                node.power_on()
                return only(f"{node.mac}: on", good("Chassis Power Control: Up/On\n"))
            if action in ("off", "reset"):
                node.pull(again=action == "reset" and node.on)
                said = "Down/Off" if action == "off" else "Reset"
                return only(f"{node.mac}: {action}", good(f"Chassis Power Control: {said}\n"))
    raise NotPractised("these arguments")


def wakeonlan(host: Host, argv: Sequence[str]) -> Completed | Effects:
    """A magic packet (wakeonlan 0.41): nobody answers it."""
    match argv:
        case ("wakeonlan", "-i", address, mac):
            node = host.rack.by_mac(mac) if host.rack else None
            if node is not None:
                node.power_on()
            return only(f"{mac}: woken", good(f"Sending magic packet to {address}:9 with {mac}\n"))
    raise NotPractised("these arguments")
