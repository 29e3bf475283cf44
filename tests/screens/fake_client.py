"""A farm in memory with the Client's interface: rows, scripted deltas, plan answers, a line that can be cut.

`python -m tests.screens.fake_client` runs the app on it.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from qrm_tui.core.errors import NoServer, NotFound, QrmError

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
        "storage": [storage("lvm-nfs"), storage("archive", "warning", free=7 * G, address="192.168.88.180", images=2)],
        "image": [image("xen_host"), golden, *customers, image("evil\x1b[31m[bold]name", storage="archive"),
                  image("fresh", "creating", used=None, since=NOW - 12)],
        "job": [
            *(job(n, "image.clone", f"image/customer{n}") for n in range(1, 13)),
            job(13, "image.remove", "image/old", "failed", step=5, error="lvremove: Logical volume vol/old is used"),
            job(14, "image.add", "image/fresh", "running", step=2, started=NOW - 75, progress=0.4,
                doing="make the file system", reason="ticket 4711"),
            job(15, "image.copy", "image/xen_host", "waiting", waits_for="job 14 holds image/fresh"),
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


class FakeClient:
    """What `qrm_tui.client` offers, on rows of its own."""

    def __init__(self, where: str = "/run/qrm/qrmd.sock", rows: Mapping[str, Iterable[Row]] | None = None, *,
                 role: str = "administrator", practice: bool = True) -> None:
        self.where = where
        given = practice_farm() if rows is None else rows
        kinds = ("storage", "image", "job", "journal")
        self.rows: dict[str, dict[str, Row]] = {
            kind: {row["name"]: row for row in given.get(kind, ())} for kind in kinds}
        self.role, self.practice = role, practice
        self.revision = 100
        self.down = ""
        self.calls: list[tuple[str, Any]] = []
        #: answers to plans by operation: a plan, or an error to raise
        self.plans: dict[str, Row | QrmError] = {"image.clone": CLONE, "image.remove": REMOVE}
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
        return {"version": "0.1.0", "server": "tower", "farm": "training", "practice": self.practice, "user": "root",
                "role": self.role, "revision": self.revision, "pid": 1, "started": NOW - 1000}

    async def farm(self) -> Row:
        self._up("farm")
        bad = [("image", row) for row in self.rows["image"].values() if row["state"] == "error"]
        bad += [("storage", row) for row in self.rows["storage"].values() if row["state"] in ("error", "warning")]
        return {
            "farm": "training", "server": "tower", "practice": self.practice, "version": "0.1.0", "started": NOW - 1000,
            "counts": {}, "public_key": "", "capacity": [
                {"storage": row["name"], "size": row["size"], "free": row["free"]}
                for row in self.rows["storage"].values()],
            "alerts": [{"kind": kind, "name": row["name"], "state": row["state"], "since": row["since"], **reasons(row)}
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
        return {**row, **reasons(row)}

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
        raise NoServer(self.down)

    async def verify_journal(self) -> Row:
        return {"ok": True, "entries": len(self.rows["journal"]), "trouble": ""}

    async def close(self) -> None:
        self.calls.append(("close", None))


def reasons(row: Row) -> Row:
    """Why and what next, of rows in trouble and of others."""
    if row["state"] == "error":
        return {"why": "its room for changes is 97% full: at 100% the clone is lost",
                "next": f"give it more now: qrm image resize {row['name']} --size SIZE"}
    if row["state"] == "warning":
        return {"why": "volume group vol has only 7.0G free of 200G", "next": "add a disk: vgextend vol DEVICE"}
    return {"why": "it is there, mounted, and nobody uses it", "next": ""}


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
