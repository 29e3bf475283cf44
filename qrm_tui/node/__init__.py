"""qrmd-node: the HTTP endpoint of machines on the netboot network, unprivileged, apart from qrmd."""
