"""Which planner makes the plan of which operation. A test holds these names and the declarations equal."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from qrm_tui.backends import (
    boot_images,
    foreign_hosts,
    lvm_nfs,
    partitions,
    resources,
    storage_servers,
    users,
    ve_start,
    ve_stop,
)
from qrm_tui.backends import virtual_environments as ves
from qrm_tui.backends.planning import Call, Draft, Probe, probe_nothing
from qrm_tui.core.farm import Farm
from qrm_tui.install import fixes, uninstall
from qrm_tui.install import planner as install


@dataclass(frozen=True, slots=True)
class Planner:
    """What is asked of machines first, and the plan from the answers."""

    probes: Callable[[Farm, Mapping[str, Any]], list[Probe]]
    plan: Callable[[Call], Draft]


PLANNERS: Mapping[str, Planner] = {
    "resource.maintenance": Planner(probe_nothing, resources.plan_maintenance),
    "resource.power": Planner(probe_nothing, resources.plan_power),
    "resource.edit": Planner(probe_nothing, resources.plan_edit),
    "resource.remove": Planner(resources.probe_files, resources.plan_remove),
    "ve.create": Planner(probe_nothing, ves.plan_create),
    "ve.edit": Planner(probe_nothing, ves.plan_edit),
    "ve.start": Planner(ve_start.probe_start, ve_start.plan_start),
    "ve.stop": Planner(ve_stop.probe_stop, ve_stop.plan_stop),
    "ve.add-resource": Planner(ve_start.probe_add_resource, ve_start.plan_add_resource),
    "ve.remove-resource": Planner(ve_stop.probe_stop, ve_stop.plan_remove_resource),
    "ve.remove": Planner(probe_nothing, ves.plan_remove),
    "boot-image.create": Planner(boot_images.probe_image, boot_images.plan_create),
    "boot-image.remove": Planner(boot_images.probe_image, boot_images.plan_remove),
    "storage.add": Planner(storage_servers.probe_add, storage_servers.plan_add),
    "storage.remove": Planner(probe_nothing, storage_servers.plan_remove),
    "image.add": Planner(lvm_nfs.probe_new_image, lvm_nfs.plan_add),
    "image.clone": Planner(lvm_nfs.probe_new_image, lvm_nfs.plan_clone),
    "image.copy": Planner(lvm_nfs.probe_copy, lvm_nfs.plan_copy),
    "image.resize": Planner(lvm_nfs.probe_image, lvm_nfs.plan_resize),
    "image.allow": Planner(lvm_nfs.probe_image, lvm_nfs.plan_allow),
    "image.revoke": Planner(lvm_nfs.probe_image, lvm_nfs.plan_revoke),
    "image.remove": Planner(lvm_nfs.probe_image, lvm_nfs.plan_remove),
    "install.run": Planner(install.probe_server, install.plan_run),
    "install.fix": Planner(fixes.probe, fixes.plan_fix),
    "component.configure": Planner(install.probe_server, install.plan_configure),
    "partition.create": Planner(probe_nothing, partitions.plan_create),
    "partition.start": Planner(probe_nothing, partitions.plan_start),
    "partition.stop": Planner(probe_nothing, partitions.plan_stop),
    "partition.pause": Planner(probe_nothing, partitions.plan_pause),
    "partition.resume": Planner(probe_nothing, partitions.plan_resume),
    "partition.reset": Planner(probe_nothing, partitions.plan_reset),
    "partition.resize": Planner(probe_nothing, partitions.plan_resize),
    "partition.remove": Planner(partitions.probe_files, partitions.plan_remove),
    "host.add": Planner(foreign_hosts.probe_add, foreign_hosts.plan_add),
    "host.remove": Planner(probe_nothing, foreign_hosts.plan_remove),
    "domain.start": Planner(probe_nothing, foreign_hosts.plan_start),
    "domain.stop": Planner(probe_nothing, foreign_hosts.plan_stop),
    "user.add": Planner(probe_nothing, users.plan_add),
    "user.password": Planner(probe_nothing, users.plan_password),
    "user.role": Planner(probe_nothing, users.plan_role),
    "user.remove": Planner(probe_nothing, users.plan_remove),
    "component.restart": Planner(install.probe_server, install.plan_restart),
    "component.enable": Planner(install.probe_server, install.plan_enable),
    "component.disable": Planner(install.probe_server, install.plan_disable),
    "component.uninstall": Planner(uninstall.probe_uninstall, uninstall.plan_uninstall),
    "install.uninstall": Planner(uninstall.probe_uninstall, uninstall.plan_uninstall_all),
}

#: Operations on jobs themselves, which the job engine does without a plan of steps.
JOB_CONTROLS = frozenset(("job.cancel", "job.undo"))
#: Operations without a plan: somebody watches, and perhaps types.
SESSIONS = frozenset(("console.attach", "console.log"))
