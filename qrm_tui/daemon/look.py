"""How a machine is looked at: what is asked, all at once, and the facts from the answers."""
from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from qrm_tui.backends import apt_words, disks, lvm, mounts, nfs, own_packages, probing, server_facts
from qrm_tui.backends.planning import Probe
from qrm_tui.core.errors import StepFailed
from qrm_tui.core.facts import Answered, File, MachineFacts, Removals
from qrm_tui.core.model import StorageWanted
from qrm_tui.install import questions
from qrm_tui.install.defaults import Network
from qrm_tui.runners.base import Completed, Runner


async def look_here(runner: Runner, probe: Probe) -> MachineFacts:
    """The machine that qrmd serves from: files, paths, packages and services that the probe names."""
    about = {
        "paths": (probing.paths_argv(probe.paths), probe.paths),
        "packages": (probing.packages_argv(probe.packages), probe.packages),
        "downloads": (probing.downloads_argv(probe.downloads), probe.downloads),
        "candidates": (apt_words.candidates_argv(probe.packages), probe.downloads),
        "units": (probing.units_argv(probe.units), probe.units),
        "digests": (server_facts.digests_argv(probe.digests), probe.digests),
        "listeners": (server_facts.LISTENERS_ARGV, probe.network), "interfaces": (server_facts.ADDRESSES_ARGV,
                                                                                   probe.network),
    }
    asked = {name: argv for name, (argv, needed) in about.items() if needed}
    answers, machine, removals, *files = await asyncio.gather(
        runner.ask(list(asked.values())), look_at_machine(runner, probe.asks) if probe.asks else _nothing(),
        look_at_removals(runner, probe.removals) if probe.removals else _no_removals(),
        *(runner.read_file(path) for path in probe.files))
    done = dict(zip(asked, answers, strict=True))
    text = {name: done[name].out if name in done else "" for name in about}
    return MachineFacts(
        files={**machine.files, **dict(zip(probe.files, files, strict=True))}, asked=machine.asked,
        paths=_paths(runner, probe, done.get("paths")),
        packages=probing.parse_packages(text["packages"], probe.packages),
        downloads=probing.parse_downloads(text["downloads"]), removals=removals,
        candidates=apt_words.parse_candidates(text["candidates"], probe.packages),
        units=probing.parse_units(text["units"], probe.units),
        enabled=probing.parse_enabled(text["units"], probe.units),
        digests=server_facts.parse_digests(text["digests"], probe.digests),
        listeners=server_facts.parse_listeners(text["listeners"]),
        interfaces=server_facts.parse_addresses(text["interfaces"]))


def _paths(runner: Runner, probe: Probe, done: Completed | None) -> dict[str, str]:
    if done is None:
        return {}
    if done.status != 0:
        raise StepFailed(f"{runner.name}: {done.complaint()}")
    return probing.parse_paths(done.out, probe.paths)


async def _nothing() -> MachineFacts:
    return MachineFacts()


async def look_at_removals(runner: Runner, names: Sequence[str]) -> Removals:
    """What would go if those of these packages were removed that qrm installed, and that are still there."""
    async def ask(argv: Sequence[str]) -> str:
        done = await runner.run(argv)
        if done.status != 0:
            raise StepFailed(f"{runner.name}: {done.complaint()}")
        return done.out

    listed, there = await asyncio.gather(runner.read_file(own_packages.INSTALLED),
                                         runner.run(probing.packages_argv(names)))
    ours = own_packages.parse_installed(listed.content if listed else "")
    found = [name for name, version in probing.parse_packages(there.out, names).items() if version and name in ours]
    return await own_packages.find_removals(found, ask) if found else Removals()


async def _no_removals() -> Removals:
    return Removals()


async def look_at_machine(runner: Runner, names: Sequence[str]) -> MachineFacts:
    """Questions of data/machine.toml by their names; who offers addresses on each wire takes some seconds."""
    commands = {name: argv for name, argv in questions.commands().items() if name in names}
    listing, *answers = await runner.ask([questions.files_argv(), *commands.values()])
    asked = dict(zip(commands, answers, strict=True))
    paths: list[str] = []
    if questions.FILES in names:
        paths = [*questions.files(), *sorted(line for line in listing.out.splitlines() if line.startswith("/"))]
    files = await asyncio.gather(*(_read(runner, path) for path in paths))
    if questions.OFFERS in names and asked["addresses"].status == 0:
        wires = questions.wired(server_facts.rows(asked["addresses"].out, "ip address"))
        # side by side: each waits for some seconds
        offers = await asyncio.gather(*(runner.run(questions.offers_argv(wire)) for wire in wires))
        asked |= {f"{questions.OFFERS} {wire}": done for wire, done in zip(wires, offers, strict=True)}
    return MachineFacts(
        asked={name: Answered(status=done.status, out=done.out, err=done.err) for name, done in asked.items()},
        files=dict(zip(paths, files, strict=True)))


async def _read(runner: Runner, path: str) -> File | None:
    try:
        file = await runner.read_file(path)
    except StepFailed:   # a folder, or not to be read
        return None
    return file if file is None or len(file.content) <= questions.MOST_OF_A_FILE else None


async def look_at_network(runner: Runner) -> Network:
    """The server's addresses, its way to everywhere, and the name servers that it asks."""
    async def text(argv: Sequence[str]) -> str:
        done = await runner.run(argv)
        if done.status != 0:
            raise StepFailed(f"{runner.name}: {done.complaint()}")
        return done.out

    addresses, routes = await text(server_facts.ADDRESSES_ARGV), await text(server_facts.ROUTES_ARGV)
    resolver = server_facts.Resolver((), "")
    for path in (server_facts.RESOLV, server_facts.RESOLVED):
        file = await runner.read_file(path)
        if file is not None and not resolver.servers:
            found = server_facts.parse_resolver(file.content)
            resolver = server_facts.Resolver(found.servers, resolver.domain or found.domain)
    groups = await runner.run(questions.commands()["groups"])  # where there is no LVM, there are none
    return Network(server_facts.parse_addresses(addresses), server_facts.parse_default_route(routes), resolver,
                   sorted(disks.parse_groups(groups.out), key=lambda group: -group.free))


async def look_at_storage(runner: Runner, wanted: StorageWanted, probe: Probe, host_key: str) -> MachineFacts:
    """A storage server: volumes, mounts, exports, and what the probe names."""
    about = {
        "volumes": (lvm.volumes_argv(wanted.group), "its volumes cannot be read"),
        "group": (lvm.group_argv(wanted.group), f"volume group {wanted.group}"),
        "mounted": (mounts.LIST_ARGV, "its mounts cannot be read"),
        "exports": (nfs.LIST_ARGV, "its NFS exports cannot be read (is nfs-server running?)"),
    }
    argvs = [argv for argv, _ in about.values()]
    argvs += [probing.paths_argv(probe.paths)] if probe.paths else []
    argvs += probing.VERSIONS.values() if probe.versions else []
    answers, *files = await asyncio.gather(runner.ask(argvs), *(runner.read_file(path) for path in probe.files))
    rest = iter(answers)
    troubles: list[str] = []
    texts: dict[str, str] = {}
    for (name, (_, complaint)), done in zip(about.items(), rest, strict=False):
        texts[name] = done.out if done.status == 0 else ""
        if done.status != 0:
            troubles.append(f"{complaint}: {done.complaint()}")
    paths = _paths(runner, probe, next(rest) if probe.paths else None)
    versions = {what: probing.parse_version(done.out) if done.status == 0 else ""
                for what, done in zip(probing.VERSIONS, rest, strict=False)}
    facts = probing.facts(**texts, files=dict(zip(probe.files, files, strict=True)), paths=paths, versions=versions,
                          troubles=troubles)
    return msgspec.structs.replace(facts, host_key=host_key)
