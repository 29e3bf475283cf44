"""How long 5,000 rows of lvs(8) take to parse, beside json.loads alone; and the state of 5,000 images from them."""
from __future__ import annotations

import json
import time
from collections.abc import Callable

from qrm_tui.backends import lvm, lvm_nfs_seen
from qrm_tui.core.facts import MachineFacts
from qrm_tui.core.model import ImageWanted, Item

ROWS, RUNS = 5000, 7


def _report() -> str:
    rows = [{
        "vg_name": "vol", "lv_name": f"customer{at}", "lv_uuid": f"fp3kIB-X7xq-4R8O-NH9X-FlGB-3cGv-{at:06d}",
        "lv_size": "1073741824", "lv_attr": "swi-aos---", "lv_tags": f"qrm,qrm.image.id-{at}", "origin": "golden",
        "origin_size": "5242880000", "pool_lv": "", "data_percent": "12.48", "metadata_percent": "",
        "lv_device_open": "open",
    } for at in range(ROWS)]
    return json.dumps({"report": [{"lv": rows}]})


def _best(work: Callable[[], object]) -> float:
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times) * 1000


def main() -> None:
    """Print milliseconds and ratios."""
    text = _report()
    volumes = lvm.parse_volumes(text)
    items = [Item(kind="image", name=f"customer{at}", wanted=ImageWanted(
        id=f"id-{at}", storage="s1", path=f"/vol/customer{at}", origin="golden")) for at in range(ROWS)]
    facts = MachineFacts(volumes=volumes)
    bare = _best(lambda: json.loads(text))
    parsed = _best(lambda: lvm.parse_volumes(text))
    seen = _best(lambda: lvm_nfs_seen.see_images(facts, items, 1000.0))
    print(f"{ROWS} rows of lvs, best of {RUNS}")
    print(f"json.loads alone        {bare:7.1f} ms")
    print(f"parse_volumes           {parsed:7.1f} ms   {parsed / bare:.1f} x")
    print(f"states of as many images{seen:7.1f} ms   {seen / bare:.1f} x")


if __name__ == "__main__":
    main()
