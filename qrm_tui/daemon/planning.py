"""From a call to a plan: who may, what is given, what is found, what will be done; and the same asked again later."""
from __future__ import annotations

import asyncio
import shlex
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from qrm_tui.backends.planning import Call, Probe
from qrm_tui.core.errors import BadInput, NotPermitted, QrmError, Refused, Stale
from qrm_tui.core.facts import RECORDS, MachineFacts, Reading, check_reliances
from qrm_tui.core.farm import Farm
from qrm_tui.core.operations.arguments import TYPES, check_arguments
from qrm_tui.core.operations.declarations import Operation, Role
from qrm_tui.core.operations.registry import find
from qrm_tui.core.plan import HERE, OFF_RUNNER, Plan, describe_step
from qrm_tui.core.units import write_size
from qrm_tui.daemon.machines import Machines
from qrm_tui.daemon.planners import PLANNERS
from qrm_tui.runners import ssh
from qrm_tui.runners.steps import is_done

#: Questions about what a probe is told to look at → its field.
_NAMED = {"file": "files", "path": "paths", "package": "packages", "unit": "units", "enabled": "units",
          "digest": "digests", "asked": "asks", "removal": "removals"}
#: Puts what may be kept of secrets in the place of what was typed.
Seal = Callable[[Operation, Mapping[str, Any]], Awaitable[dict[str, Any]]]
#: Seconds that a plan is kept for whoever looked at it, and how many are kept.
KEPT, MOST = 3600.0, 5000


def command_of(operation: Operation, arguments: Mapping[str, Any]) -> str:
    """The `qrm` command that does the same."""
    words = ["qrm", operation.kind, operation.verb]
    for argument in operation.arguments:
        value = arguments.get(argument.name)
        if value in (None, [], {}) or (value == argument.default and not argument.required):
            continue
        if argument.type == "flag":
            words += [argument.option] if value else []
            continue
        if argument.type == "document":
            words += [argument.option, TYPES["document"].word]
            continue
        values = [f"{key}={text}" for key, text in value.items()] if isinstance(value, dict) else \
            value if isinstance(value, list) else [value]
        for one in values:
            shown = f"{round(one * 100)}%" if argument.type == "share" else \
                write_size(one) if argument.type == "size" else str(one)
            words += [shown] if argument.positional else [argument.option, shown]
    return shlex.join(words)


def check_role(operation: Operation, role: Role, arguments: Mapping[str, Any] | None = None) -> None:
    """NotPermitted unless the role reaches; the one place where roles are enforced."""
    if role < operation.role:
        raise NotPermitted(f"{operation.name} needs the role {operation.role.name}; you are {role.name}")
    for name, needed in operation.argument_roles:
        if role < needed and (arguments or {}).get(name):
            raise NotPermitted(f"{name} of {operation.name} needs the role {needed.name}; you are {role.name}")


class Planning:
    """Makes plans, keeps them for a while, and holds them against what is found later."""

    def __init__(self, farm: Farm, machines: Machines, seal: Seal,
                 identity: Callable[[], str] = lambda: str(uuid.uuid4())) -> None:
        self._farm, self._machines, self._seal, self._identity = farm, machines, seal, identity
        self._plans: dict[str, tuple[float, Plan, str]] = {}

    def new_id(self) -> str:
        """An identifier that nothing has yet."""
        return self._identity()

    async def make(self, name: str, given: Mapping[str, Any], role: Role) -> Plan:
        """The plan of an operation; nothing is changed."""
        operation = find(name)
        check_role(operation, role, given)
        return await self.draw(operation, await self._seal(operation, check_arguments(operation.arguments, given)))

    async def draw(self, operation: Operation, arguments: dict[str, Any]) -> Plan:
        """The plan for arguments that are parsed already."""
        planner = PLANNERS.get(operation.name)
        if planner is None:
            raise BadInput(f"{operation.name} is a session and has no plan: {operation.example}")
        probes = planner.probes(self._farm, arguments)
        facts = await self._ask(probes)
        for probe in probes:
            new = probe.server or probe.host
            if new is not None and facts[probe.machine].host_key:
                ssh.check_fingerprint(facts[probe.machine].host_key, arguments.get("host_key"), new.address)
        reading = Reading(self._farm, facts)
        identities: dict[str, str] = {}

        def identity(purpose: str) -> str:
            return identities.setdefault(purpose, self._identity())

        draft = planner.plan(Call(arguments, reading, identity))
        destructive = bool(draft.steps) and (operation.destructive or draft.destructive)
        return Plan(
            id=self._identity(), operation=operation.name, object=draft.object,
            arguments=operation.without_secrets(arguments),
            steps=tuple(draft.steps), locks=tuple(sorted(draft.locks)), relies=reading.relies,
            warnings=tuple(draft.warnings), notes=tuple(draft.notes), no_return=draft.no_return,
            inverse=draft.inverse, destructive=destructive,
            confirm=draft.object.partition("/")[2] if destructive else "", afterwards=tuple(draft.afterwards),
        )

    async def _ask(self, probes: list[Probe]) -> dict[str, MachineFacts]:
        found = await asyncio.gather(*(self._machines.probe(probe) for probe in probes))
        return {probe.machine: facts for probe, facts in zip(probes, found, strict=True)}

    async def check(self, plan: Plan) -> None:
        """Ask again what a plan relied on; Stale if an answer is another now."""
        named: dict[str, dict[str, set[str]]] = {}
        for reliance in plan.relies:
            if reliance.question == RECORDS:
                continue
            of_machine = named.setdefault(reliance.machine, {})
            if reliance.question in _NAMED:
                of_machine.setdefault(_NAMED[reliance.question], set()).add(reliance.arguments[0])
        for machine in named:
            if machine != HERE and self._farm.find("storage", machine) is None:
                raise Stale(f"storage server {machine} was removed meanwhile; nothing was done")
        facts = await self._ask([
            Probe(machine, **{field: tuple(sorted(names)) for field, names in fields.items()})  # type: ignore[arg-type]
            for machine, fields in named.items()])
        check_reliances(plan.relies, self._farm, facts)

    # plans that people look at

    def keep(self, plan: Plan, reason: str) -> None:
        """Keep a plan until it is run."""
        now = self._farm.steady()
        for known in [known for known, (at, _, _) in self._plans.items() if now - at > KEPT]:
            del self._plans[known]
        while len(self._plans) >= MOST:
            del self._plans[next(iter(self._plans))]
        self._plans[plan.id] = (now, plan, reason)

    def take(self, plan_id: str) -> tuple[Plan, str]:
        """A plan that was kept, and the reason given with it; it runs once."""
        found = self._plans.pop(plan_id, None)
        if found is None:
            raise Refused("that plan was run already, or is older than an hour: make it anew")
        return found[1], found[2]

    async def describe(self, plan: Plan, *, look: bool) -> dict[str, Any]:
        """A plan as people and scripts read it; `look` asks each step whether it is done already."""
        operation = find(plan.operation)
        done = await asyncio.gather(*(self._done(step) for step in plan.steps)) if look else [False] * len(plan.steps)
        return {
            "id": plan.id, "operation": plan.operation, "object": plan.object, "sort": operation.sort,
            "arguments": plan.arguments, "warnings": list(plan.warnings),
            "notes": [*plan.notes, *plan.afterwards], "afterwards": list(plan.afterwards),
            "steps": [describe_step(step, there) for step, there in zip(plan.steps, done, strict=True)],
            "no_return": plan.no_return, "destructive": plan.destructive, "confirm": plan.confirm,
            "command": command_of(operation, plan.arguments),
        }

    async def _done(self, step: Any) -> bool:
        if isinstance(step, OFF_RUNNER):
            return False
        try:
            return await is_done(step, self._machines.runner(step.machine))
        except QrmError:
            return False  # what it asks about is made by an earlier step


def inverse_of(plan: Plan) -> tuple[Operation, dict[str, Any]]:
    """The operation that undoes a finished plan; Refused if there is none."""
    if plan.inverse is None:
        raise Refused(f"{plan.operation} of {plan.object} has no inverse: what it took away is gone")
    operation = find(plan.inverse.operation)
    try:
        return operation, check_arguments(operation.arguments, plan.inverse.arguments)
    except BadInput as error:
        raise Refused(*error.reasons) from None
