"""What root in a customer's system might try against others: an address, a root, and frames made by hand."""
from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.lab import frames
from tests.lab.namespace import Namespace
from tests.lab.system import System

SCRIPT = r"""
exec 2>/dev/null
box=/run/qrm/busybox server=$1 mine=$2 other=$3 theirs=$4 place=/run/qrm-theft
told() { if "$@"; then echo "$what: yes"; else echo "$what: no"; fi; }
# a version apart has a connection of its own; one that is not answered is ended
mounted() {
    $box timeout -s KILL 30 $box mount -i -t nfs -o "rw,hard,proto=tcp,vers=$1,addr=$server" "$server:$2" "$place" &&
        $box umount -l "$place"
}
answers() { $box ping -c 2 -W 5 -I "$1" "$server" >/dev/null; }
$box mkdir -p "$place"
card=$($box ip route get "$server" | $box sed -n 's/.* dev \([^ ]*\).*/\1/p')
own=$($box ip route get "$server" | $box sed -n 's/.* src \([^ ]*\).*/\1/p')

what="own address answers"; told answers "$own"
what="own root mounted"; told mounted 4.2 "$mine"
what="another's root mounted"; told mounted 4.2 "$theirs"
$box ip address add "$other/32" dev "$card"
# everybody is told that the address is here
$box arping -q -c 2 -w 5 -U -I "$card" -s "$other" "$other"
what="another's address answers"; told answers "$other"
$box ip route add "$server/32" dev "$card" src "$other"
what="another's root mounted from its address"; told mounted 4.1 "$theirs"
$box ip route del "$server/32" dev "$card"
$box ip address del "$other/32" dev "$card"
$box rmdir "$place" || :
"""
"""For a shell; it needs nothing of the system itself: busybox lies in `/run`. Arguments: the storage server's address,
the system's own root there, another's address, and that one's root. It prints a line for each try, and cleans up."""
HELD = {
    "own address answers": True, "own root mounted": True, "another's root mounted": False,
    "another's address answers": False, "another's root mounted from its address": False,
}
"""What comes of it in a partition that is held to its own."""
STOLEN = HELD | {"another's address answers": True, "another's root mounted from its address": True}
"""And in one that nothing holds."""

SENDER = r"""
my ($card, @frames) = @ARGV;
open(my $file, "<", "/sys/class/net/$card/ifindex") or die "$card: $!";
my $to = pack("S n i S C C a8", 17, 3, <$file>, 1, 0, 6, "");
socket(my $line, 17, 3, 0) or die "socket: $!";
for (@frames) { defined(send($line, pack("H*", $_), 0, $to)) or die "send: $!" }
"""
"""For perl, which is in every Debian; arguments: a card, and frames as hex. What a raw socket sends goes as it is
(packet(7))."""


def outcome(said: str) -> dict[str, bool]:
    """What the script printed: each try, and whether it worked."""
    return {what: worked == "yes" for what, _, worked in (line.rpartition(": ") for line in said.splitlines())}


def seen_outside(namespace: Namespace, cable: str, system: System, card: str, sent: Mapping[str, bytes],
                 fence: bytes) -> set[str]:
    """Those of the frames that root in a system sends which come through a cable of the lab; the fence must come."""
    asked = {"frames": {name: frame.hex() for name, frame in sent.items()}, "fence": fence.hex(), "witnesses": [cable]}
    witness = namespace.popen([sys.executable, "-I", str(Path(frames.__file__))], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    assert witness.stdin is not None and witness.stdout is not None
    with witness:
        witness.stdin.write(json.dumps(asked))
        witness.stdin.close()
        assert witness.stdout.readline() == "ready\n"
        system.ssh("perl", "-e", SENDER, card, *(frame.ljust(frames.SHORTEST, b"\0").hex()
                                                 for frame in (*sent.values(), fence)))
        answer: dict[str, list[str]] = json.loads(witness.stdout.read())
    return {name for name, witnesses in answer.items() if witnesses}
