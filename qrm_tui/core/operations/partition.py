"""Operations on partitions: slices of virtualization hosts, each a resource of the same name once it has booted."""
from __future__ import annotations

from qrm_tui.core.operations.arguments import Argument
from qrm_tui.core.operations.declarations import Operation

#: Memory of a partition is whole MiB in its definition.
_LEAST = 1 << 20
_NAME = Argument("name", "partition", "which", required=True, positional=True)

OPERATIONS = (
    Operation(
        "partition", "create", "job", "make partitions on a virtualization host, and start them: they boot idle",
        (
            Argument("name", "name", "what it is called; of several NAME-1, NAME-2 ... (by default the host's)",
                     positional=True),
            Argument("host", "host", "the resource that it is a slice of", required=True),
            Argument("count", "count", "so many alike", default=1),
            Argument("cpus", "count", "CPUs of each", default=1),
            Argument("mhz", "count", "of each CPU: never more than so much, and in proportion where CPUs are scarce",
                     otherwise="no limit"),
            Argument("memory", "size", "memory of each", default=1 << 30, least=_LEAST),
            Argument("disk", "size", "a local disk for each, from a volume group of the host's own; 0: none",
                     otherwise="none"),
            Argument("disk_group", "name", "the volume group that it is from", otherwise="the one with most room"),
        ),
        "qrm partition create --host r3 --count 2 --cpus 1 --mhz 400 --memory 256M", key="a", on="host",
    ),
    Operation("partition", "start", "job", "switch a partition on", (_NAME,), "qrm partition start r3-1",
              subject="name", key="b"),
    Operation(
        "partition", "stop", "job", "switch a partition off, in order where its agent answers",
        (_NAME, Argument("force", "flag", "at once, as by a pulled plug, whatever it is doing")),
        "qrm partition stop r3-1", destructive=True, subject="name", key="x",
    ),
    Operation("partition", "pause", "job", "stop a partition's clock: it stays in memory as it is", (_NAME,),
              "qrm partition pause r3-1", subject="name", key="h"),
    Operation("partition", "resume", "job", "let a paused partition go on", (_NAME,), "qrm partition resume r3-1",
              subject="name", key="c"),
    Operation("partition", "reset", "job", "boot a partition anew at once, whatever it is doing", (_NAME,),
              "qrm partition reset r3-1", destructive=True, subject="name", key="r"),
    Operation(
        "partition", "resize", "job", "give a partition more or less: at once where its host can, else at its next "
        "start",
        (_NAME, Argument("cpus", "count", "CPUs"), Argument("mhz", "count", "MHz of each at the most"),
         Argument("memory", "size", "memory", least=_LEAST)),
        "qrm partition resize r3-1 --memory 512M", subject="name", key="z",
    ),
    Operation("partition", "remove", "job", "remove a partition: its domain, its boot files, its resource", (_NAME,),
              "qrm partition remove r3-1", destructive=True, subject="name", key="d"),
)
