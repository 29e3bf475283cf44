"""What root in a customer's system might try against another's: its address, and its root. A script for its shell.

It needs nothing of the system itself: busybox lies in `/run`. Arguments: the storage server's address, the system's own
root there, another's address, and that one's root. It prints a line for each try, and cleans up.
"""
from __future__ import annotations

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
HELD = {
    "own address answers": True, "own root mounted": True, "another's root mounted": False,
    "another's address answers": False, "another's root mounted from its address": False,
}
"""What comes of it in a partition that is held to its own."""


def outcome(said: str) -> dict[str, bool]:
    """What the script printed: each try, and whether it worked."""
    return {what: worked == "yes" for what, _, worked in (line.rpartition(": ") for line in said.splitlines())}
