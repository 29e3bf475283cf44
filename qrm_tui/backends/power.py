"""How machines are switched: by their agent, by IPMI (ipmitool(1)), by wake-on-LAN (wakeonlan(1)).

The agent is asked first, since it goes down in order; a management controller is asked where the agent is silent. That
a machine is off is believed only when it is seen: its controller says so, or its agent said good-bye.
"""
from __future__ import annotations

from qrm_tui.core.errors import Refused
from qrm_tui.core.model import Item
from qrm_tui.core.netboot import EVERYWHERE
from qrm_tui.core.plan import HERE, Await, Check, Order, Run, Step, Wait
from qrm_tui.core.resources import Power, is_heard

#: Seconds that an orderly power-off may take; and a boot, from power to the agent.
OFF_SECONDS, BOOT_SECONDS = 300.0, 900.0


def ipmi(power: Power, *words: str) -> tuple[str, ...]:
    """An ipmitool command; the password is read from its file, and is on no command line."""
    return ("ipmitool", "-I", "lanplus", "-N", "2", "-R", "3", "-H", power.address, "-U", power.user,
            "-f", power.secret, *words)


def status_argv(power: Power) -> tuple[str, ...]:
    """Asks a management controller whether its machine is on."""
    return ipmi(power, "chassis", "power", "status")


def sol_argv(power: Power) -> tuple[str, ...]:
    """Carries the machine's serial line (serial-over-LAN) until it is ended."""
    return ipmi(power, "sol", "activate")


def sol_release_argv(power: Power) -> tuple[str, ...]:
    """Ends the session that a controller still holds for somebody who is gone: it has one alone."""
    return ipmi(power, "sol", "deactivate")


def parse_status(text: str) -> bool | None:
    """Whether the machine is on, from `Chassis Power is on`; None if that is not said."""
    words = text.strip().lower()
    return {"chassis power is on": True, "chassis power is off": False}.get(words)


def is_in_power(power: Power, on: bool) -> Check:
    """Its controller says that it is on, or off."""
    return Check(argv=status_argv(power), expect="line",
                 text=f"Chassis Power is {'on' if on else 'off'}",
                 otherwise=f"its management controller at {power.address} does not say that it is "
                           f"{'on' if on else 'off'}")


def _ipmi_step(item: Item, verb: str, summary: str, done: Check | None = None) -> Run:
    return Run(machine=HERE, summary=f"{summary} {item.name} by its management controller",
               argv=ipmi(item.wanted.power, "chassis", "power", verb), done=done)


def _heard(item: Item, now: float) -> bool:
    return is_heard(item.seen, now) and not item.seen.off


def _boot(item: Item) -> str:
    return item.seen.boot if item.seen else ""


def on(item: Item, now: float, broadcast: str = EVERYWHERE) -> list[Step]:
    """Switch a machine on; Refused if nothing can. `broadcast` is the netboot network's: the server may be in others,
    and a packet to everywhere leaves by one of them alone."""
    power = item.wanted.power
    if power.method == "ipmi":
        return [_ipmi_step(item, "on", "switch on", is_in_power(power, True))]
    if power.method == "wake":
        return [Run(machine=HERE, summary=f"wake {item.name} over the network",
                    argv=("wakeonlan", "-i", broadcast, item.wanted.mac))]
    raise Refused(f"nothing can switch {item.name} on: it has no management controller that is known here, and no "
                  f"wake-on-LAN; push its button, or say how: qrm resource edit {item.name} --power ipmi|wake ...")


def off(item: Item, now: float) -> list[Step]:
    """Switch a machine off, in order if its agent answers, and see it off."""
    power = item.wanted.power
    if _heard(item, now):
        first: Step = Order(summary=f"tell {item.name} to go down and off", resource=item.name, order="off",
                            boot=_boot(item))
    elif power.method == "ipmi":
        first = _ipmi_step(item, "off", "switch off", is_in_power(power, False))
    else:
        raise Refused(f"nothing can switch {item.name} off: its agent is silent, and it has no management controller "
                      "that is known here; pull its plug")
    if power.method == "ipmi":
        return [first, Wait(machine=HERE, summary=f"see {item.name} off", check=is_in_power(power, False),
                            seconds=OFF_SECONDS)]
    return [first, Await(summary=f"see {item.name} off", resource=item.name, until="off", seconds=OFF_SECONDS)]


def reset(item: Item, now: float, broadcast: str = EVERYWHERE) -> list[Step]:
    """Boot a machine anew, in order if its agent answers; a machine that hangs by its controller."""
    power = item.wanted.power
    if _heard(item, now):
        return [Order(summary=f"tell {item.name} to reboot", resource=item.name, order="reboot", boot=_boot(item))]
    if power.method == "ipmi":
        # `reset` does nothing where the machine is off; `cycle` wants it on, too
        if item.seen and item.seen.off:
            return on(item, now, broadcast)
        return [_ipmi_step(item, "reset", "reset")]
    if item.seen and item.seen.off and power.method == "wake":
        return on(item, now, broadcast)
    raise Refused(f"nothing can reset {item.name}: its agent is silent, and it has no management controller that is "
                  "known here; push its button")
