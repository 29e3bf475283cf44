"""How a machine is looked at: what is asked, all at once, and the facts from the answers."""
from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from qrm_tui.backends import lvm, mounts, nfs, probing, server_facts
from qrm_tui.backends.planning import Probe
from qrm_tui.core.errors import StepFailed, Unreachable
from qrm_tui.core.facts import MachineFacts
from qrm_tui.core.model import StorageWanted
from qrm_tui.install.answers import Network
from qrm_tui.runners.base import Runner


async def _paths(runner: Runner, probe: Probe) -> dict[str, str]:
    if not probe.paths:
        return {}
    done = await runner.run(probing.paths_argv(probe.paths))
    if done.status != 0:
        raise StepFailed(f"{runner.name}: {done.complaint()}")
    return probing.parse_paths(done.out, probe.paths)


def _first(errors: BaseExceptionGroup) -> BaseException:
    first = errors.exceptions[0]
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first


async def look_here(runner: Runner, probe: Probe) -> MachineFacts:
    """The machine that qrmd serves from: files, paths, packages and services that the probe names."""
    async def answer(argv: Sequence[str], names: Sequence[str]) -> str:
        return (await runner.run(argv)).out if names else ""

    try:
        async with asyncio.TaskGroup() as group:
            files = [group.create_task(runner.read_file(path)) for path in probe.files]
            paths = group.create_task(_paths(runner, probe))
            packages = group.create_task(answer(probing.packages_argv(probe.packages), probe.packages))
            units = group.create_task(answer(probing.units_argv(probe.units), probe.units))
            digests = group.create_task(answer(server_facts.digests_argv(probe.digests), probe.digests))
            listeners, interfaces = (group.create_task(answer(argv, ("yes",) if probe.network else ()))
                                     for argv in (server_facts.LISTENERS_ARGV, server_facts.ADDRESSES_ARGV))
    except* (Unreachable, StepFailed) as errors:
        raise _first(errors) from None
    return MachineFacts(
        files=dict(zip(probe.files, (task.result() for task in files), strict=True)), paths=paths.result(),
        packages=probing.parse_packages(packages.result(), probe.packages),
        units=probing.parse_units(units.result(), probe.units),
        enabled=probing.parse_enabled(units.result(), probe.units),
        digests=server_facts.parse_digests(digests.result(), probe.digests),
        listeners=server_facts.parse_listeners(listeners.result()),
        interfaces=server_facts.parse_addresses(interfaces.result()))


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
    return Network(server_facts.parse_addresses(addresses), server_facts.parse_default_route(routes), resolver)


async def look_at_storage(runner: Runner, wanted: StorageWanted, probe: Probe, host_key: str) -> MachineFacts:
    """A storage server: volumes, mounts, exports, and what the probe names."""
    troubles: list[str] = []

    async def text(argv: Sequence[str], complaint: str) -> str:
        done = await runner.run(argv)
        if done.status != 0:
            troubles.append(f"{complaint}: {done.complaint()}")
            return ""
        return done.out

    async def version(argv: Sequence[str]) -> str:
        done = await runner.run(argv)
        return probing.parse_version(done.out) if done.status == 0 else ""

    async def versions() -> dict[str, str]:
        if not probe.versions:
            return {}
        found = await asyncio.gather(*(version(argv) for argv in probing.VERSIONS.values()))
        return dict(zip(probing.VERSIONS, found, strict=True))

    try:
        async with asyncio.TaskGroup() as group:
            volumes = group.create_task(text(lvm.volumes_argv(wanted.group), "its volumes cannot be read"))
            volume_group = group.create_task(text(lvm.group_argv(wanted.group), f"volume group {wanted.group}"))
            mounted = group.create_task(text(mounts.LIST_ARGV, "its mounts cannot be read"))
            exported = group.create_task(text(nfs.LIST_ARGV, "its NFS exports cannot be read (is nfs-server running?)"))
            files = [group.create_task(runner.read_file(path)) for path in probe.files]
            path_states, found = group.create_task(_paths(runner, probe)), group.create_task(versions())
    except* (Unreachable, StepFailed) as errors:
        raise _first(errors) from None
    facts = probing.facts(
        volumes=volumes.result(), group=volume_group.result(), mounted=mounted.result(), exports=exported.result(),
        files=dict(zip(probe.files, (task.result() for task in files), strict=True)), paths=path_states.result(),
        versions=found.result(), troubles=troubles)
    return msgspec.structs.replace(facts, host_key=host_key)
