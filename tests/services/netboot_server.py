"""The netboot services for real, set up and changed by the product's own plans as a job runs them."""
from __future__ import annotations

from typing import Any

from qrm_tui.backends.planning import Call, Draft
from qrm_tui.core.facts import Reading
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item, convert_wanted
from qrm_tui.core.plan import HERE, Record
from qrm_tui.daemon.look import look_here
from qrm_tui.install import planner, seen, setting_up
from qrm_tui.runners import steps
from tests.lab.namespace import BRIDGE, BRIDGE_ADDRESS
from tests.lab.services_root import Services

ANSWERS = f"""
[tftpd]
address = "{BRIDGE_ADDRESS}"
[apache]
[dhcpd]
interface = "{BRIDGE}"
address = "{BRIDGE_ADDRESS}"
subnet = "10.77.0.0/24"
range = "10.77.0.100-10.77.0.199"
machines = "10.77.0.10-10.77.0.99"
router = "{BRIDGE_ADDRESS}"
dns = "9.9.9.9"
"""


class Server:
    """The services, and the product's records of them."""

    def __init__(self, services: Services) -> None:
        self.services, self.farm = services, Farm()

    async def plan(self, operation: Any, **arguments: Any) -> Draft:
        facts = await look_here(self.services, planner.probe_server(self.farm, arguments)[0])
        given = {"fix": (), "disable": (), **arguments}
        return operation(Call(given, Reading(self.farm, {HERE: facts}), lambda purpose: purpose))

    async def run(self, draft: Draft) -> None:
        """As a job does it."""
        async def tell(runner: Any, argv: tuple[str, ...]) -> Any:
            return await runner.run(argv)

        for step in draft.steps:
            if isinstance(step, Record):
                for change in step.changes:
                    self.farm.put(Item(kind=change.kind, name=change.name,
                                       wanted=convert_wanted(change.kind, change.wanted or {})))
            else:
                await steps.perform(step, steps.Stage(self.services, "unit", tell, lambda *line: None,
                                                      lambda share: None))

    async def do(self, operation: Any, **arguments: Any) -> Draft:
        draft = await self.plan(operation, **arguments)
        await self.run(draft)
        return draft

    async def see(self, name: str) -> Any:
        wanted = setting_up.present(self.farm)
        return seen.see(name, wanted, await look_here(self.services, seen.probe(wanted)))

    async def fetch(self, url: str) -> tuple[int, str]:
        done = await self.services.run(("curl", "--silent", "--max-time", "5", url))
        return done.status, done.out
