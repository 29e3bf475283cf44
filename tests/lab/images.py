"""All images of the labs: built where they are missing, and where they lie."""

from __future__ import annotations

from tests.lab.acceleration import acceleration
from tests.lab.golden import golden
from tests.lab.host_roots import dom0
from tests.lab.image import image
from tests.lab.installed import installed
from tests.lab.netboot_rows import ANSWERS
from tests.lab.server_image import server_image
from tests.lab.xen_image import xen_image

if __name__ == "__main__":
    server = server_image()
    print("storage server", image().folder)
    print("openQRM server", server.folder)
    print("installed one ", installed(server, ANSWERS).folder)
    print("fresh server  ", server_image(fresh=True).folder)
    print("golden root   ", golden().folder)
    print("Xen host      ", dom0().folder)
    print("its boot-image", xen_image())
    print("machines run on", acceleration(server.machine_kernel))
