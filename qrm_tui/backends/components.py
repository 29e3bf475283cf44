"""What components are made of, from their settings: files, checks, ports."""
from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from qrm_tui.backends import dhcpd, mounts
from qrm_tui.backends.rendering import render
from qrm_tui.core.component_table import FileEntry, Port, table
from qrm_tui.core.data_place import Place
from qrm_tui.core.places import templates_folder
from qrm_tui.core.plan import Check

#: `apache2ctl -t` with one more file, its complaints in one line; arguments: the file.
APACHE_CHECK_SCRIPT = (templates_folder() / "apache/check.sh").read_text()
#: What must accept a file before it is put in place; `{file}` is where it lies then.
CHECKERS: Mapping[str, tuple[str, ...]] = {
    "": (), "unit": mounts.CHECKER, "dhcpd": ("sh", "-c", dhcpd.CHECK_SCRIPT, "qrm", "{file}"),
    "apache": ("sh", "-c", APACHE_CHECK_SCRIPT, "qrm", "{file}"),
}
#: Where qrmd awaits qrmd-node (qrmd's own default).
NODE_SOCKET = "/run/qrm/node.sock"


def qrmd_unit(program: str, data: str) -> str:
    """The unit of qrmd, whose data lie in that folder."""
    return render("systemd/qrmd.service.j2", program=program, data=data)


class Site(NamedTuple):
    """What files are rendered from: the settings of all components, and what was found on the server."""

    settings: Mapping[str, Mapping[str, str]]
    #: where qrmd and qrmd-node are
    programs: str = "/usr/bin"
    #: whether the admin has a file of his own for dhcpd
    local: bool = False
    #: (name, MAC, address) of machines that are known
    hosts: tuple[tuple[str, str, str], ...] = ()

    @property
    def server(self) -> str:
        """The server's address in the netboot network."""
        for name in ("dhcpd", "tftpd"):
            if name in self.settings:
                return self.settings[name]["address"]
        return "127.0.0.1"

    def words(self, name: str) -> dict[str, str]:
        """Words of a component's checks and ports."""
        return {**self.settings[name], "server": self.server}

    def file_text(self, name: str, entry: FileEntry) -> str:
        """The content of a component's file."""
        if entry.template == "dhcpd/qrm.conf.j2":
            return render(entry.template, **dhcpd.words(
                self.settings["dhcpd"], http_port=self.settings.get("apache", {}).get("port", "80"), local=self.local,
                next_server=self.server))
        if entry.template == "dhcpd/qrm-hosts.conf.j2":
            return dhcpd.hosts_text(self.hosts)
        if entry.template == "systemd/qrmd.service.j2":
            return qrmd_unit(f"{self.programs}/qrmd", Place.of(self.settings["qrmd"]).data)
        if entry.template == "qrmd/data.toml.j2":
            place = Place.of(self.settings["qrmd"])
            return render(entry.template, **msgspec.to_builtins(place))
        if entry.template == "systemd/qrm-node.service.j2":
            return render(entry.template, program=f"{self.programs}/qrmd-node", socket=NODE_SOCKET,
                          listen=f"{self.server}:{self.settings['node']['port']}")
        return render(entry.template, **self.settings[name])

    def checks(self, name: str) -> list[tuple[str, Check]]:
        """What must hold when it works: summary and check."""
        words = self.words(name)
        return [(proof.summary.format(**words), Check(
            argv=tuple(part.format(**words) for part in proof.argv), expect=proof.expect,
            text=proof.text.format(**words), otherwise=proof.otherwise)) for proof in table()[name].checks]

    def ports(self, name: str) -> list[Port]:
        """Where it listens."""
        words = self.words(name)
        return [msgspec.structs.replace(port, port=port.port.format(**words)) for port in table()[name].ports]
