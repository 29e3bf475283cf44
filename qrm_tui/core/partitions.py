"""Virtualization hosts and what runs on them, as libvirt was last seen to tell it.

Sizes are bytes, clocks MHz, times seconds.
"""
from __future__ import annotations

from typing import Literal

import msgspec

#: How a partition is virtualized; what each can is in `data/virtualization.toml`.
Technology = Literal["xen-pv", "kvm", "qemu", "test", "lxc", "esx"]
DomainState = Literal["running", "paused", "off", "crashed"]
#: What befell a domain, or (without a domain) the line to its host.
Event = Literal["defined", "undefined", "started", "paused", "resumed", "shutdown", "stopped", "crashed", "changed",
                "line-back", "line-lost"]


class DomainNic(msgspec.Struct, frozen=True):
    """A domain's network card."""

    mac: str
    #: the device on the host that it comes out at; empty while it does not run and none was asked for
    target: str = ""


class DomainSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A domain of a host."""

    uuid: str
    name: str
    state: DomainState
    #: CPUs and memory that it has now, or at its next start
    cpus: int = 0
    memory: int = 0
    #: what its memory can be set to while it runs
    memory_most: int = 0
    #: CPU time that it has used since it was started
    cpu_time: float = 0
    #: the id of the resource that it is, from our tag in its definition; empty: it is not ours, and is never touched
    resource: str = ""
    nics: tuple[DomainNic, ...] = ()
    #: False: it is gone from the host when it goes off
    persistent: bool = True


class HostGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A volume group of a host's own."""

    name: str
    size: int = 0
    free: int = 0
    extent: int = 4 << 20
    #: why no disks are from it; empty: they can be
    unfit: str = ""


class HostSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A virtualization host as its libvirtd answered last."""

    technology: str = ""
    #: versions, as `9.0.0`; the hypervisor's with its name
    libvirt: str = ""
    hypervisor: str = ""
    cpus: int = 0
    mhz: int = 0
    memory: int = 0
    memory_free: int = 0
    domains: tuple[DomainSeen, ...] = ()
    #: its volume groups, of any kind; and why nothing is known of them
    groups: tuple[HostGroup, ...] = ()
    groups_trouble: str = ""
    #: of Xen: all domains as its own tool showed them, since libvirt does not know those that were made with it
    listed: tuple[DomainSeen, ...] = ()
    #: not answering: the reason; empty while it answers
    silent: str = ""
    #: partitions that it did not hold to their addresses lately, and when that was found
    unheld: tuple[str, ...] = ()
    unheld_at: float = 0

    @property
    def all_domains(self) -> tuple[DomainSeen, ...]:
        """Also those that libvirt does not know."""
        known = {domain.uuid for domain in self.domains}
        return (*self.domains, *(domain for domain in self.listed if domain.uuid not in known))


class DomainEvent(msgspec.Struct, frozen=True):
    """Something befell a domain; `uuid` empty: the line to the host, with `why`."""

    event: Event
    uuid: str = ""
    why: str = ""


class PartitionWanted(msgspec.Struct, frozen=True, kw_only=True):
    """A partition as it should be; the resource of the same name is what it is once it has booted."""

    #: libvirt's UUID, and the id of its resource
    id: str
    #: the resource that it is a slice of
    host: str
    technology: Technology
    mac: str
    #: the card's device on the host
    target: str
    cpus: int = 1
    memory: int
    #: of each CPU: never more than so much; 0: no limit
    mhz: int = 0
    #: bytes of a local disk; 0: none. And the volume group of its host's that it is from
    disk: int = 0
    disk_group: str = ""
    life: Literal["creating", "present", "removing"] = "present"
    #: new: it was never started
    power: Literal["new", "on", "paused", "off"] = "new"


class PartitionSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A partition as its host showed it last."""

    #: None: its host has no such domain
    domain: DomainSeen | None = None
    #: how much of its CPUs it used lately, 0 to 1; None: not known yet
    busy: float | None = None
    #: why its host does not hold it to its addresses; empty while it does
    unheld: str = ""


class HostWanted(msgspec.Struct, frozen=True, kw_only=True):
    """A virtualization host: a resource that runs a VE with partitioning, or one that was added as it is."""

    #: the word of the VE: xen, kvm; empty: it was added
    partitioning: str
    ve: str
    address: str
    #: of one that was added: what it is, the account there, its ssh port and pinned key
    technology: Technology | Literal[""] = ""
    user: str = "root"
    port: int = 22
    host_key: str = ""
    #: the file with the password, on the server; and whether any certificate that it shows is taken (esx)
    secret: str = ""
    unverified: bool = False


class DomainWanted(msgspec.Struct, frozen=True, kw_only=True):
    """A domain that is none of ours: where it is, and how it is called there."""

    host: str
    uuid: str
    title: str


class DomainWish(msgspec.Struct, frozen=True, kw_only=True):
    """A partition as it is to be defined on its host."""

    name: str
    uuid: str
    #: id of the resource that it is
    resource: str
    technology: Technology
    cpus: int = 1
    memory: int
    #: what CPUs and memory can be raised to while it runs; 0: no more than they are
    cpus_most: int = 0
    memory_most: int = 0
    #: of each of its CPUs: never more than so much, and in proportion where CPUs are scarce; 0: no limit
    mhz: int = 0
    #: the host's own clock, which `mhz` is a part of
    host_mhz: int = 0
    #: files on the host; no kernel: it boots from its network card
    kernel: str = ""
    initrd: str = ""
    cmdline: str = ""
    #: no bridge: no network card
    bridge: str = ""
    mac: str = ""
    #: the card's device on the host
    target: str = ""
    #: a block device of the host; empty: no local disk
    disk: str = ""
    #: a file on the host that its console is written to besides, where the driver can
    console_log: str = ""
