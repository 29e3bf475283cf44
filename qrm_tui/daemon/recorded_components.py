"""Components of a recorded machine that was set up: files, folders and keys that no recording holds, as they were."""
from __future__ import annotations

from qrm_tui.backends import dhcpd
from qrm_tui.backends.components import Site
from qrm_tui.core.component_table import table
from qrm_tui.core.components import ComponentWanted
from qrm_tui.core.settings import Settings
from qrm_tui.install import steps
from qrm_tui.install.setting_up import digest, programs
from qrm_tui.practice.machine import SimulatedMachine
from qrm_tui.practice.packages import content_of
from qrm_tui.practice.server_commands import KEY_FILE


async def plant_components(server: SimulatedMachine, settings: Settings) -> dict[str, ComponentWanted]:
    """What is wanted of each; files that the recording has stay."""
    root, known = server.host.root, {}
    site = Site(settings, programs(), root.exists(dhcpd.LOCAL), ())
    for component in map(table().__getitem__, settings):
        for folder in component.folders:
            root.here(folder).mkdir(parents=True, exist_ok=True)
        for target, source in component.copies.items():
            for path in (source, target):
                root.write(path, content_of(source))
        if component.key and not root.exists(component.key):
            root.write(component.key, KEY_FILE, 0o640)
        digests = {}
        for entry in component.files:
            there = await server.read_file(entry.path)
            if there is None:
                root.write(entry.path, site.file_text(component.name, entry), entry.mode)
            if not entry.once:
                digests[entry.path] = digest(there.content if there else site.file_text(component.name, entry))
        for unit in component.services:
            await server.run(steps.enable(unit).argv)
        known[component.name] = ComponentWanted(settings=settings[component.name], files=digests)
    return known
