"""Who may connect to qrmd as qrmd-node."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qrm_tui.daemon import nodes
from qrm_tui.daemon.peer import Peer

NOBODY = 65534


def test_root_and_the_servers_own_account_may() -> None:
    assert nodes.may_connect(Peer(1, 0, ()), 1234) and nodes.may_connect(Peer(1, 1234, ()), 1234)


def test_another_account_may_not() -> None:
    assert not nodes.may_connect(Peer(os.getpid(), NOBODY, (NOBODY,)), 0)
    assert not nodes.may_connect(Peer(1 << 30, 4_000_000, ()), 0)


@pytest.mark.parametrize(("cgroup", "may"), [
    ("0::/system.slice/qrm-node.service\n", True), ("1:name=systemd:/x\n0::/system.slice/qrmd-node.service\n", True),
    ("0::/system.slice/other.service\n", False), ("0::/system.slice/qrm-node.service/../other.service\n", False),
    ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/qrm-node.service\n", False), ("", False),
])
def test_a_dynamic_user_is_known_by_its_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cgroup: str,
                                             may: bool) -> None:
    (tmp_path / "77").mkdir()
    (tmp_path / "77" / "cgroup").write_text(cgroup)
    monkeypatch.setattr(nodes, "PROC", tmp_path)
    assert nodes.may_connect(Peer(77, 61500, ()), 0) is may


def test_a_stranger_gets_nothing(tmp_path: Path) -> None:
    if os.getuid() != 0:
        return  # only root can become another
    code = """if True:
        import asyncio, os, socket, sys
        from pathlib import Path
        from qrm_tui.core.farm import Farm
        from qrm_tui.daemon.nodes import Nodes
        from qrm_tui.daemon.rack import Rack

        async def main():
            farm = Farm()
            nodes = Nodes(farm, Rack(farm, None), None)
            await nodes.open(Path(sys.argv[1]))
            asked = await asyncio.create_subprocess_exec(
                "/usr/bin/python3", "-I", "-c", "import socket, sys; s = socket.socket(socket.AF_UNIX); "
                "s.connect(sys.argv[1]); print(s.recv(1000))", sys.argv[1], user=65534, group=65534, extra_groups=[],
                cwd="/", stdout=-1)
            print((await asked.communicate())[0].decode(), nodes.connected)
            await nodes.close()
        asyncio.run(main())
    """
    # another account must reach the socket, so pytest's own folders do not do
    path = f"/tmp/qrm-test-{os.getpid()}.sock"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=60, check=True,
                          cwd=Path(__file__).parents[2])
    assert done.stdout.split() == ["b''", "0"] and "may not connect" in done.stderr
