"""What an installer asks of the server before anything is planned: checks, defaults, and the machine as a recording."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from qrm_tui.backends.planning import Probe
from qrm_tui.core import answers, component_table
from qrm_tui.core.component_table import table
from qrm_tui.core.errors import NotFound
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import FINISHED
from qrm_tui.core.names import printable
from qrm_tui.core.plan import HERE
from qrm_tui.daemon.drafts import Drafts
from qrm_tui.daemon.look import look_at_network
from qrm_tui.daemon.machines import Machines
from qrm_tui.install import defaults, fixes, questions, recording
from qrm_tui.install.checks import check_all
from qrm_tui.install.server import Server
from qrm_tui.install.setting_up import OS_RELEASE


class Installing:
    """Looks at the machine that qrmd itself serves from; changes nothing. `own`: this qrmd is the installer's own."""

    def __init__(self, farm: Farm, machines: Machines, state: Path, own: bool = False) -> None:
        self._farm, self._machines, self.own = farm, machines, own
        self.drafts = Drafts(farm, state / "install-draft.json")

    @property
    def job(self) -> str:
        """The installation that goes on; of the installer's own qrmd, which then hands over, the last one that was."""
        runs = [item for item in self._farm.all("job") if item.wanted.operation == "install.run"
                and (self.own or item.wanted.state not in FINISHED)]
        return max(runs, key=lambda item: item.wanted.id).name if runs else ""

    async def answers(self, interface: str) -> dict[str, Any]:
        """Settings with defaults for this machine (`computed`), as a complete file, and those of components that are
        set up already (`present`; `off`: and switched off); Refused says what the defaults cannot be computed from."""
        network = await look_at_network(self._machines.runner(HERE))
        return {"answers": answers.write(defaults.compute(network, interface)),
                "computed": defaults.compute(network, interface, every=True),
                "present": fixes.present_settings(self._farm),
                "off": {item.name: item.wanted.settings for item in self._farm.all("component")
                        if not item.wanted.enabled and item.name in table()}}

    async def packages(self, name: str) -> dict[str, Any]:
        """What a component's packages are here: which version is installed, else the bytes that are fetched (none
        where apt does not tell); what comes with them; and installed packages that are in its way."""
        component = table().get(name)
        if component is None:
            raise NotFound(f"there is no component {printable(name)}; there are {', '.join(table())}")
        release = await self._machines.runner(HERE).read_file(OS_RELEASE)
        system = component_table.distribution(release.content if release else "")[0]
        packages = component.packages.get(system, ())
        facts = await self._machines.probe(Probe(HERE, packages=(*packages, *component.conflicts)))
        missing = tuple(package for package in packages if not facts.packages.get(package))
        found = (await self._machines.probe(Probe(HERE, downloads=missing))).downloads if missing else {}
        return {
            "name": name,
            "packages": [{"name": package, "version": facts.packages.get(package, ""), "size": found.get(package)}
                         for package in packages],
            "others": len(set(found) - set(missing)), "fetched": sum(found.values()) if found or not missing else None,
            "conflicts": [package for package in component.conflicts if facts.packages.get(package)],
        }

    async def checks(self, interface: str) -> dict[str, Any]:
        """What every check found, with machines booting from this interface (the default route's otherwise)."""
        facts = await self._machines.probe(Probe(HERE, asks=questions.everything()))
        server = Server(facts, interface, fixes.present_settings(self._farm))
        return {
            "checks": [finding.row() for finding in check_all(server)],
            "system": server.distribution[0], "interface": server.chosen.name if server.chosen else "",
            "interfaces": [{"name": one.name, "mac": one.mac, "up": one.up,
                            "addresses": [address.text for address in one.addresses]} for one in server.interfaces],
            "taken": [{"protocol": one.protocol, "port": str(one.port), "programs": list(one.processes)}
                      for one in server.heard],
            "groups": {group.name: group.free for group in server.groups}, "group": server.network.group,
        }

    async def record(self, what: str) -> str:
        """This machine as a document; `what` it is, in a line."""
        return recording.encode(await self._machines.probe(Probe(HERE, asks=questions.everything())), what)
