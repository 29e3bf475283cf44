"""A root file system in a volume of the storage server, exported to the lab's network."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.golden import Golden
from tests.lab.namespace import NETWORK, Namespace
from tests.lab.storage_server import StorageServer


@contextmanager
def exported(namespace: Namespace, server: StorageServer, root: Golden, name: str, size: str) -> Iterator[str]:
    """The path of a new volume `name` with that system in it; `size` as lvcreate -L takes it."""
    path = f"/vol/{name}"
    server.ssh("lvcreate", "-y", "-L", size, "-n", name, "vol")
    try:
        server.ssh("mkfs.ext4", "-q", f"/dev/vol/{name}")
        server.shell(f"mkdir -p {path} && mount /dev/vol/{name} {path}")
        with root.archive.open("rb") as archive:
            namespace.run(server.ssh_argv("tar", "-C", path, "-xpf", "-"), stdin=archive, check=True)
        server.write(f"/etc/exports.d/{name}.exports",
                     f"{path} {NETWORK}(rw,no_root_squash,no_subtree_check,fsid={uuid.uuid4()})\n")
        server.ssh("exportfs", "-ra")
        yield path
    finally:
        # a machine that is off says nothing to the NFS server, which holds its files open for a while
        server.shell(f"rm -f /etc/exports.d/{name}.exports; exportfs -ra; "
                     "for client in /proc/fs/nfsd/clients/*/ctl; do [ ! -e $client ] || echo expire >$client; done; "
                     f"umount {path}; lvremove -qy vol/{name}")
