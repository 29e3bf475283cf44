"""A farm in memory with the Client's interface: rows, scripted deltas, plan answers, a line that can be cut.

`python -m tests.screens.fake_client` runs the app on it.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from qrm_tui.core.errors import NoServer, NotFound, NotLoggedIn, NotPermitted, QrmError
from qrm_tui.screens.live import WATCHED

Row = dict[str, Any]
#: The farm's time: 2026-11-22 10:00:00 UTC.
NOW = 1795341600.0
G = 1 << 30


def image(name: str, state: str = "ready", **more: Any) -> Row:
    """A filesystem-image's row."""
    return {
        "name": name, "state": state, "since": NOW - 7200, "seen_at": NOW - 4, "revision": 1, "storage": "lvm-nfs",
        "path": f"/vol/{name}", "size": 5 * G, "used": 2 * G, "origin": None, "fill": None, "full_at": None,
        "used_by": [], "clones": [], "fs": "ext4", "thin": False, "managed": True, "hostname": "",
        "export_id": "0b9f2c", "mounted": True, "volume_id": "Xw3k", "id": f"id-{name}", **more,
    }


def storage(name: str, state: str = "ok", **more: Any) -> Row:
    """A storage server's row."""
    return {
        "name": name, "state": state, "since": NOW - 86400 * 3, "seen_at": NOW - 4, "revision": 1, "type": "lvm-nfs",
        "address": "192.168.88.179", "env": {"SERVER_VOL": "vol"}, "size": 200 * G, "free": 120 * G, "images": 12,
        "pool_size": 0, "pool_data": None, "pool_metadata": None, "pool_promised": 0, "versions": {"lvm": "2.03.16"},
        "user": "root", "port": 22, "host_key": "", **more,
    }


def resource(name: str, state: str = "idle", **more: Any) -> Row:
    """A machine's row."""
    return {
        "name": name, "state": state, "since": NOW - 5400, "seen_at": NOW - 4, "revision": 1, "maintenance": False,
        "kind": "physical", "virtualization": None, "host": None, "technology": None, "mac": "52:54:00:77:00:20",
        "address": "192.168.88.201", "cpus": 4, "mhz": 2400, "memory": 8 * G, "ve": None, "stage": "", "stage_at": None,
        "stages": {}, "filled": None, "load": 0.12, "model": "Intel(R) Xeon(R) CPU E5620", "vendor": "Dell Inc.",
        "product": "PowerEdge R410", "serial": "7Q2K5L1", "firmware": "bios", "disks": ["sda 250G", "sdb 250G"],
        "nics": ["eth0 52:54:00:77:00:20", "eth1 52:54:00:77:00:21"], "power": "agent", "console": "none",
        "console_command": None, "id": f"id-{name}", "event": None, "event_severity": None, "event_at": None,
        "event_text": None, "event_count": 0, "event_stands": False, "event_seen_by": None, **more,
    }


def ve(name: str, state: str = "inactive", **more: Any) -> Row:
    """A virtual environment's row."""
    return {
        "name": name, "state": state, "since": NOW - 3000, "seen_at": None, "revision": 1, "boot_image": "debian12",
        "image": name, "resources": [], "images": [], "profile": {}, "multi_server": 1, "same_for_all": False,
        "stage": "", "id": f"ve-{name}", "partitioning": None, **more,
    }


def partition(name: str, state: str = "running", **more: Any) -> Row:
    """A partition's row."""
    return {"name": name, "state": state, "since": NOW - 900, "seen_at": NOW - 4, "revision": 1, "host": "r1",
            "technology": "xen-pv", "cpus": 2, "mhz": 600, "memory": 2 * G, "memory_share": 0.125, "disk": 0,
            "disk_group": None, "busy": None, "resource": "idle", "ve": None, "address": "192.168.88.221",
            "mac": "00:16:3e:00:00:01", "power": "on", "device": "qrm7f3a9c01", "id": f"id-{name}", **more}


def host(name: str, state: str = "ok", **more: Any) -> Row:
    """A virtualization host's row."""
    return {"name": name, "state": state, "since": NOW - 5400, "seen_at": NOW - 4, "revision": 1, "technology": "xen",
            "ve": "xen_host", "address": "192.168.88.201", "partitions": 4, "cpus": 8, "cpus_given": 8, "busy": 0.22,
            "mhz": 2400, "memory": 16 * G, "memory_free": 6 * G, "memory_given": 8 * G, "foreign": [],
            "groups": {"local": 200 * G}, "disk_free": 200 * G, "added": False,
            "libvirt": "9.0.0", "hypervisor": "Xen 4.17.0", **more}


def hosted() -> dict[str, list[Row]]:
    """A virtualization host with partitions in all sorts of states, and one that does not answer."""
    def machine(name: str, state: str, **more: Any) -> Row:
        return resource(name, state, kind="partition", technology="xen", host="r1", cpus=2, memory=2 * G, **more)

    return {
        "partition": [
            partition("r1-1", busy=0.02), partition("r1-2", busy=0.81, ve="customer4", resource="active"),
            partition("r1-3", "paused", resource="unknown", power="paused"),
            partition("r1-4", "crashed", resource="off", since=NOW - 300), partition("r1-5", "off", resource="off"),
            partition("r13-1", "unknown", host="r13", resource="unknown")],
        "host": [host("r1", foreign=["rescue"]),
                 host("r13", "error", partitions=1, memory_free=12 * G, cpus_given=2, busy=0.0)],
        "resource": [resource("r1", "active", ve="xen_host", virtualization="xen", cpus=8, memory=16 * G),
                     machine("r1-1", "idle"), machine("r1-2", "active", ve="customer4"), resource("r3", "off")],
        "storage": [storage("lvm-nfs")],
    }


def boot_image(name: str, state: str = "ready", **more: Any) -> Row:
    """A boot-image's row."""
    return {"name": name, "state": state, "since": NOW - 86400, "seen_at": NOW - 4, "revision": 1, "type": "linux",
            "version": "6.1.0-41-amd64", "source": "linux-image-amd64", "size": 38 << 20, "used_by": [],
            "hypervisor": None, "id": f"id-{name}", **more}


def component(name: str, state: str = "ok", **more: Any) -> Row:
    """A component's row."""
    return {"name": name, "state": state, "since": NOW - 86400, "seen_at": NOW - 4, "revision": 1, "enabled": True,
            "settings": {}, "services": {}, "files": [], **more}


def rack() -> dict[str, list[Row]]:
    """Machines that idle, boot, hang, and run VEs."""
    def on(environment: str, **more: Any) -> Row:
        return {"ve": environment, "state": "active", **more}

    machines = [
        resource("r1", **on("customer1")), resource("r2", **on("shop"), address="192.168.88.202"),
        resource("r3", "starting", ve="customer2", stage="kernel", stage_at=NOW - 12, since=NOW - 40,
                 stages={"dhcp": NOW - 17, "loader": NOW - 14, "kernel": NOW - 12}),
        resource("r4", "error", ve="shop", stage="loader", stage_at=NOW - 245, since=NOW - 125),
        resource("r5", maintenance=True, cpus=16, mhz=2933, memory=64 * G, product="PowerEdge R720"),
        resource("r6", maintenance=True), resource("r7"), resource("r8", "off", maintenance=True),
        resource("r9", "booting", stage="dhcp", stage_at=NOW - 3, since=NOW - 3, maintenance=True, cpus=0, mhz=0,
                 memory=0, model="", vendor="", product="", serial="", disks=[], nics=[], load=None, firmware=""),
        resource("r10", "starting", ve="customer2", stage="agent", stage_at=NOW - 5400, since=NOW - 40),
        resource("r11", "starting", ve="customer2", stage="system", stage_at=NOW - 2, since=NOW - 40),
        resource("r12", "unknown", maintenance=True, serial="evil\x1b[2J\u202e" + "S" * 300),
    ]
    return {
        "resource": machines,
        "ve": [
            ve("customer1", "active", resources=["r1"], images=["customer1"], profile={"memory": G}),
            ve("customer2", "starting", resources=["r3", "r10", "r11"], multi_server=3, stage="kernel", since=NOW - 40,
               images=["customer2", "customer2-r10", "customer2-r11"],
               profile={"cpus": 2, "mhz": 2000, "memory": 4 * G, "nics": 1, "kind": "physical"}),
            ve("shop", "degraded", resources=["r2", "r4"], images=["shop", "shop-r4"], multi_server=2, since=NOW - 125),
            ve("training"),
        ],
        "boot-image": [boot_image("idle", "in use", version="6.1.0-41-amd64 idle", size=21 << 20),
                       boot_image("debian12", "in use", used_by=["customer1", "customer2", "shop", "training"]),
                       boot_image("xen", "error", size=0)],
        "component": [
            component("dhcpd", "warning", services={"isc-dhcp-server.service": "active"}, files=["/etc/dhcp/qrm.conf"],
                      settings={"interface": "eth1", "address": "192.168.88.1", "subnet": "192.168.88.0/24",
                                "range": "192.168.88.100-192.168.88.149", "machines": "192.168.88.201-192.168.88.250",
                                "lease": "600", "non_pxe": "no", "bios_http": "yes"}),
            component("tftpd", services={"tftpd-hpa.service": "active"}, settings={"address": "192.168.88.1"}),
            component("apache", services={"apache2.service": "active"}, settings={"port": "80"}),
            component("nfs", "error", services={"nfs-server.service": "failed", "rpcbind.service": "active"}),
            component("node", "off", enabled=False, services={"qrmd-node.service": "inactive"},
                      settings={"port": "8640"}),
        ],
    }


def job(number: int, operation: str, target: str, state: str = "done", **more: Any) -> Row:
    """A job's row."""
    ended = None if state in ("running", "waiting") else NOW - 3600 + number
    return {
        "name": str(number), "id": number, "state": state, "since": NOW - 60, "seen_at": None, "revision": 1,
        "operation": operation, "object": target, "arguments": {}, "step": 0, "steps": 8, "doing": "", "progress": None,
        "who": "root", "terminal": "pts/0", "reason": "", "asked": NOW - 3700 + number,
        "started": None if state == "waiting" else NOW - 3690 + number, "ended": ended, "error": "", "waits_for": "",
        "cancelling": False, **more,
    }


def practice_farm() -> dict[str, list[Row]]:
    """Rows enough to look at."""
    customers = [image(f"customer{n}", "in use", origin="webserver", size=400 << 20, used=n * 20 << 20, fill=0.05 * n,
                       used_by=[f"192.168.88.{190 + n}"], hostname=f"customer{n}", since=NOW - 600 * n)
                 for n in range(1, 13)]
    customers[2] |= {"state": "error", "fill": 0.97, "since": NOW - 300, "full_at": NOW + 5400}
    golden = image("webserver", "frozen", clones=[row["name"] for row in customers])
    return {
        **rack(),
        "storage": [storage("lvm-nfs"), storage("archive", "warning", free=7 * G, address="192.168.88.180", images=2)],
        "image": [image("xen_host"), golden, *customers, image("evil\x1b[31m[bold]name", storage="archive"),
                  image("fresh", "creating", used=None, since=NOW - 12)],
        "job": [
            *(job(n, "image.clone", f"image/customer{n}") for n in range(1, 13)),
            job(13, "image.remove", "image/old", "failed", step=5, error="lvremove: Logical volume vol/old is used"),
            job(16, "ve.start", "ve/customer2", "running", step=5, steps=9, started=NOW - 40,
                doing="wait until customer2 is up", reason="ticket 4712"),
            job(14, "image.add", "image/fresh", "running", step=2, started=NOW - 75, progress=0.4,
                doing="make the file system", reason="ticket 4711"),
            job(15, "image.copy", "image/xen_host", "waiting", waits_for="waits for job 14, which has image/fresh"),
        ],
        "journal": [
            {"name": str(n), "seq": n, "at": NOW - 4000 + n * 60, "who": "root", "terminal": "pts/0",
             "operation": "image.clone", "object": f"image/customer{n}", "outcome": "done", "reason": "", "job": n,
             "hash": "ab12cd"} for n in range(1, 13)
        ],
    }


DIFF = """--- /dev/null
+++ /etc/exports.d/customer20.exports
@@ -0,0 +1 @@
+/vol/customer20 192.168.88.210(rw,no_root_squash,fsid=0b9f2c4e)"""

CLONE = {
    "operation": "image.clone", "object": "image/customer20", "sort": "job",
    "steps": [
        {"machine": "lvm-nfs", "kind": "run", "summary": "take a snapshot of vol/webserver",
         "argv": ["lvcreate", "-s", "-n", "customer20", "-L", "1G", "--addtag", "qrm-7f3a", "vol/webserver"],
         "undo": "lvremove -f vol/customer20", "done_already": False},
        {"machine": "lvm-nfs", "kind": "write", "summary": "mount it at every boot, never blocking one",
         "diff": "--- /dev/null\n+++ /etc/systemd/system/vol-customer20.mount\n@@ -0,0 +1,2 @@\n+[Mount]\n"
                 "+Options=nofail",
         "undo": "remove /etc/systemd/system/vol-customer20.mount", "done_already": False},
        {"machine": "lvm-nfs", "kind": "edit", "summary": "seal it: host name, machine-id, ssh host keys", "undo": "",
         "root": "/vol/customer20", "edits": [{"do": "write", "path": "/etc/hostname", "content": "customer20"}],
         "done_already": False},
        {"machine": "lvm-nfs", "kind": "write", "summary": "export it to the machines that may mount it", "diff": DIFF,
         "undo": "remove /etc/exports.d/customer20.exports", "done_already": False},
        {"machine": "qrmd", "kind": "record", "summary": "keep the image", "records": ["keep image customer20"],
         "undo": "put the former records back", "done_already": False},
    ],
    "warnings": ["the room for changes is 1.0G, 20% of webserver"],
    "notes": ["a snapshot, because vol has no thin pool"],
    "no_return": None, "destructive": False, "confirm": "", "command": "qrm image clone webserver customer20",
}

REMOVE = {
    "operation": "image.remove", "object": "image/customer3", "sort": "job",
    "steps": [
        {"machine": "lvm-nfs", "kind": "remove", "summary": "take back its export",
         "diff": "--- /etc/exports.d/customer3.exports\n+++ /dev/null\n@@ -1 +0,0 @@\n"
                 "-/vol/customer3 192.168.88.193(rw,no_root_squash,fsid=0b9f2c)",
         "undo": "put /etc/exports.d/customer3.exports back", "done_already": False},
        {"machine": "lvm-nfs", "kind": "run", "summary": "unmount it", "argv": ["umount", "/vol/customer3"],
         "undo": "mount /vol/customer3", "done_already": False},
        {"machine": "lvm-nfs", "kind": "run", "summary": "remove the volume and all that is in it",
         "argv": ["lvremove", "-f", "vol/customer3"], "undo": "", "done_already": False},
        {"machine": "qrmd", "kind": "record", "summary": "forget the image", "records": ["delete image customer3"],
         "undo": "", "done_already": False},
    ],
    "warnings": ["192.168.88.193 has it mounted"], "notes": [], "no_return": 2, "destructive": True,
    "confirm": "customer3", "command": "qrm image remove customer3",
}

MAINTENANCE = {
    "operation": "resource.maintenance", "object": "resource/r5", "sort": "record",
    "steps": [{"machine": "qrmd", "kind": "record", "summary": "out of maintenance: VEs may start on it",
               "records": ["keep resource r5"], "undo": "put the former records back", "done_already": False}],
    "warnings": [], "notes": [], "no_return": None, "destructive": False, "confirm": "",
    "command": "qrm resource maintenance r5 --off",
}


class FakeClient:
    """What `qrm_tui.client` offers, on rows of its own."""

    def __init__(self, where: str = "/run/qrm/qrmd.sock", rows: Mapping[str, Iterable[Row]] | None = None, *,
                 role: str = "administrator", practice: bool = True) -> None:
        self.where = where
        given = practice_farm() if rows is None else rows
        kinds = (*WATCHED, "journal")
        self.rows: dict[str, dict[str, Row]] = {
            kind: {row["name"]: row for row in given.get(kind, ())} for kind in kinds}
        self.role, self.practice = role, practice
        #: by user: password and role; `strange`: the account itself has no role
        self.users: dict[str, tuple[str, str]] = {}
        self.strange, self.session, self.lock = False, "", 600.0
        self.must_change: set[str] = set()
        self.revision = 100
        self.down = ""
        self.calls: list[tuple[str, Any]] = []
        #: answers to plans by operation: a plan, or an error to raise
        self.plans: dict[str, Row | QrmError] = {"image.clone": CLONE, "image.remove": REMOVE,
                                                  "resource.maintenance": MAINTENANCE}
        self.run_error: QrmError | None = None
        self.logs: dict[str, list[Row]] = {}
        self._watchers: list[asyncio.Queue[Row | None]] = []
        self._log_grew = asyncio.Condition()
        self._kept: dict[str, Row] = {}

    # the script's side

    def push(self, changed: Mapping[str, list[Row]] | None = None,
             removed: Mapping[str, list[str]] | None = None) -> None:
        """Something changed on the farm: watchers hear a delta."""
        self.revision += 1
        for kind, rows in (changed or {}).items():
            self.rows[kind] |= {row["name"]: row for row in rows}
        for kind, names in (removed or {}).items():
            for name in names:
                self.rows[kind].pop(name, None)
        for queue in self._watchers:
            queue.put_nowait({"event": "delta", "revision": self.revision, "changed": dict(changed or {}),
                              "removed": dict(removed or {})})

    def cut(self, reason: str = "the line was cut") -> None:
        """The line is lost until `mend`."""
        self.down = reason
        for queue in self._watchers:
            queue.put_nowait(None)

    def mend(self) -> None:
        """The server answers again."""
        self.down = ""

    # the client's side

    def _up(self, call: str, details: Any = None) -> None:
        self.calls.append((call, details))
        if self.down:
            raise NoServer(self.down)

    async def hello(self) -> Row:
        self._up("hello")
        role = "nobody" if self.strange else self.role
        if self.session:
            role = "nobody" if self.session in self.must_change else self.users[self.session][1]
        return {"version": "0.1.0", "server": "tower", "farm": "training", "practice": self.practice,
                "user": self.session or "root", "role": role, "revision": self.revision, "pid": 1,
                "started": NOW - 1000, "log_in": bool(self.users), "lock": self.lock,
                "session": {"user": self.session} if self.session else None, "first_user": "qrm" in self.must_change}

    async def log_in(self, name: str, password: str) -> Row:
        self._up("log_in", name)
        if self.users.get(name, ("", ""))[0] != password:
            raise NotPermitted("the name or the password is not right")
        self.session = name
        return {"user": name, "role": self.users[name][1], "must_change": name in self.must_change}

    async def log_out(self) -> None:
        if self.session:
            self._up("log_out", self.session)
            self.session = ""

    async def unlock(self, password: str) -> None:
        self._up("unlock", self.session)
        if not self.session:
            raise NotLoggedIn("your session has ended")
        if self.users[self.session][0] != password:
            raise NotPermitted("the name or the password is not right")

    async def change_password(self, old: str, new: str) -> Row:
        self._up("change_password", self.session)
        if self.users[self.session][0] != old:
            raise NotPermitted("the password is not right")
        self.users[self.session] = (new, self.users[self.session][1])
        self.must_change.discard(self.session)
        return {"user": self.session, "role": self.users[self.session][1]}

    def end_session(self) -> None:
        """The server ends it, and what it watches."""
        self.session = ""
        for queue in self._watchers:
            queue.put_nowait(None)

    async def farm(self) -> Row:
        self._up("farm")
        bad = [("image", row) for row in self.rows["image"].values() if row["state"] == "error"]
        bad += [(kind, row) for kind in ("storage", "resource", "ve", "partition", "host", "component", "boot-image")
                for row in self.rows[kind].values() if row["state"] in ("error", "warning", "degraded", "crashed")]
        free = [row for row in self.rows["resource"].values() if row["state"] == "idle" and not row["maintenance"]]
        return {
            "farm": "training", "server": "tower", "practice": self.practice, "version": "0.1.0", "started": NOW - 1000,
            "counts": {}, "public_key": "", "machines": {
                "free": len(free), "cpus": sum(row["cpus"] for row in free),
                "memory": sum(row["memory"] for row in free),
                "maintenance": sum(row["maintenance"] for row in self.rows["resource"].values())},
            "capacity": [
                {"storage": row["name"], "size": row["size"], "free": row["free"]}
                for row in self.rows["storage"].values()],
            "alerts": [{"kind": kind, **{key: row[key] for key in ("name", "state", "since")}, **reasons(kind, row)}
                       for kind, row in bad],
        }

    async def list(self, kind: str, *, filter: str = "", sort: str = "", limit: int | None = None,
                   offset: int = 0) -> Row:
        self._up("list", kind)
        rows = [*self.rows[kind].values()]
        return {"rows": rows[::-1][:limit], "total": len(rows), "revision": self.revision}

    async def show(self, kind: str, name: str) -> Row:
        self._up("show", (kind, name))
        row = self.rows[kind].get(name)
        if row is None:
            raise NotFound(f"there is no {kind} {name!r}")
        return {**row, **reasons(kind, row)}

    async def plan(self, operation: str, arguments: Row, reason: str = "") -> Row:
        self._up("plan", (operation, arguments))
        answer = self.plans.get(operation, CLONE)
        if isinstance(answer, QrmError):
            raise answer
        plan = copy.deepcopy(answer) | {"id": f"plan{len(self._kept)}", "arguments": arguments}
        self._kept[plan["id"]] = plan
        return plan

    async def run(self, plan_id: str, reason: str = "") -> Row:
        self._up("run", (plan_id, reason))
        if self.run_error:
            raise self.run_error
        plan = self._kept[plan_id]
        if plan["sort"] == "record":
            if plan["operation"] == "resource.maintenance":
                given = plan["arguments"]["name"]
                rows = [self.rows["resource"][name] for name in (given if isinstance(given, list) else [given])]
                rows = [{**row, "maintenance": not row["maintenance"], "revision": row["revision"] + 1} for row in rows]
                self.push({"resource": rows})
                return {"changed": [{"kind": "resource", **row} for row in rows], "removed": []}
            return {"changed": [{"kind": "image", **image("customer20")}], "removed": []}
        number = max((row["id"] for row in self.rows["job"].values()), default=0) + 1
        row = job(number, plan["operation"], plan["object"], "running", started=NOW - 3, steps=len(plan["steps"]),
                  reason=reason, doing=plan["steps"][0]["summary"])
        self.push({"job": [row]})
        return {"job": row}

    async def job_plan(self, job_id: str | int) -> Row:
        self._up("job_plan", str(job_id))
        row = self.rows["job"][str(job_id)]
        plan = copy.deepcopy(REMOVE if row["operation"] == "image.remove" else CLONE)
        for place, step in enumerate(plan["steps"]):
            state = ("done" if row["state"] == "done" or place < row["step"] else
                     row["state"] if place == row["step"] and row["state"] in ("running", "failed") else "pending")
            step |= {"state": state, "started": NOW - 70 + place if state != "pending" else None,
                     "ended": NOW - 67 + place if state == "done" else None,
                     "error": row["error"] if state == "failed" else ""}
        return plan

    async def job_log(self, job_id: str | int, *, follow: bool = False, start: int = 0) -> AsyncIterator[Row]:
        self._up("job_log", (str(job_id), start))
        place = start
        while True:
            lines = self.logs.setdefault(str(job_id), [])
            while place < len(lines):
                yield lines[place]
                place += 1
            if not follow or self.rows["job"][str(job_id)]["state"] in ("done", "failed", "undone"):
                return
            async with self._log_grew:
                await self._log_grew.wait()

    async def log(self, job_id: str, *texts: str, stream: str = "out") -> None:
        """The job says something."""
        lines = self.logs.setdefault(job_id, [])
        for text in texts:
            lines.append({"n": len(lines), "at": NOW, "step": 0, "stream": stream, "text": text})
        async with self._log_grew:
            self._log_grew.notify_all()

    async def watch(self, kinds: Iterable[str], since: int | None = None) -> AsyncIterator[Row]:
        self._up("watch", since)
        if since is None:
            for kind in kinds:
                rows = [*self.rows[kind].values()]
                for start in range(0, max(1, len(rows)), 500):
                    yield {"event": "snapshot", "kind": kind, "rows": rows[start:start + 500], "first": start == 0,
                           "last": start + 500 >= len(rows), "revision": self.revision}
        queue: asyncio.Queue[Row | None] = asyncio.Queue()
        self._watchers.append(queue)
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._watchers.remove(queue)
        raise NoServer(self.down or "the server closed the connection")

    async def verify_journal(self) -> Row:
        return {"ok": True, "entries": len(self.rows["journal"]), "trouble": ""}

    async def close(self) -> None:
        self.calls.append(("close", None))


#: Why and what next, by kind and state; otherwise as of an image that nobody uses.
REASONS = {
    ("partition", "running"): ("it runs", ""),
    ("partition", "crashed"): ("its kernel panicked, or its hypervisor killed it",
                               "qrm console log {name}; qrm partition start {name}"),
    ("host", "ok"): ("its libvirtd answers", ""),
    ("host", "error"): ("its libvirtd does not answer: connection refused", ""),
    ("image", "error"): ("its room for changes is 97% full: at 100% the clone is lost",
                         "give it more now: qrm image resize {name} --size SIZE"),
    ("storage", "warning"): ("volume group vol has only 7.0G free of 200G", "add a disk: vgextend vol DEVICE"),
    ("resource", "idle"): ("it waits for work, in maintenance: no VE is started on it",
                           "qrm resource maintenance {name} --off"),
    ("resource", "error"): ("its boot stalls at loader for 4m: its boot loader does not get its configuration or the "
                            "kernel", "do tftpd and apache run? qrm component list; are the boot-image's files whole? "
                            "qrm boot-image list"),
    ("resource", "unknown"): ("it was not heard of for 3h05m", "is it on, and its network? Then its console; qrm "
                              "resource power r12 reset brings it back"),
    ("resource", "starting"): ("job 16 starts VE customer2 on it: kernel for 12s", "qrm job show 16"),
    ("ve", "starting"): ("job 16 starts it; r3 is starting: job 16 starts VE customer2 on it: kernel for 12s; r10 is "
                         "starting: job 16 starts VE customer2 on it", "qrm job show 16"),
    ("ve", "degraded"): ("r4 is error: its boot stalls at loader for 4m: its boot loader does not get its "
                         "configuration or the kernel", "do tftpd and apache run? qrm component list; are the "
                         "boot-image's files whole? qrm boot-image list"),
    ("ve", "inactive"): ("it is not started", "qrm ve start {name}"),
    ("component", "warning"): ("/etc/dhcp/qrm.conf was changed by hand since it was written",
                               "qrm component configure {name} --plan shows what it would be"),
    ("component", "error"): ("nfs-server is failed",
                             "qrm component restart {name}; journalctl on the server says more"),
    ("boot-image", "error"): ("machines cannot boot it: xen.gz is cut short",
                              "make it anew: qrm boot-image remove {name}, then create"),
}


def reasons(kind: str, row: Row) -> Row:
    """Why and what next."""
    why, following = REASONS.get((kind, row["state"]), ("it is there, mounted, and nobody uses it", ""))
    return {"why": why, "next": following.format(name=row["name"])}


def demo() -> None:
    """Run the app on the fake farm, with the real clock's pace but the farm's time."""
    import os
    import time

    from qrm_tui.screens.application import QrmApp
    from qrm_tui.styles import themes

    look = themes.choose(dict(os.environ))
    themes.apply_glyphs(look)
    start = time.monotonic()
    client = FakeClient()
    client.logs["14"] = [{"n": n, "at": NOW, "step": 2, "stream": "out", "text": f"mke2fs: block group {n} written"}
                         for n in range(300)]
    QrmApp("/run/qrm/qrmd.sock", connect=lambda where: client, look=look,
           clock=lambda: NOW + time.monotonic() - start).run()


if __name__ == "__main__":
    demo()
