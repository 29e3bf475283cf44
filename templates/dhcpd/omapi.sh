# Fixed addresses in a running dhcpd: add|remove NAME MAC ADDRESS. Doing either again is safe.
# The key is read here and goes to omshell(1) on standard input. omshell ends with 0 whatever happens and prints an
# object after each command (never the key): what was opened last tells. Each question is a session of its own, since a
# command that fails spoils the ones after it.
set -u
verb=$1 name=$2 mac=$3 address=$4 key=/etc/dhcp/qrm-key.conf
secret=$(sed -n 's/^ *secret "\(.*\)";$/\1/p' "$key")
[ -n "$secret" ] || { echo "$key holds no key: qrm component restart dhcpd" >&2; exit 1; }

ask() {
    said=$({ printf 'server 127.0.0.1\nport 7911\nkey-algorithm hmac-sha256\nkey qrm %s\nconnect\nnew host\n' "$secret"
        printf "$@"; } | LC_ALL=C omshell 2>&1)
    case $said in
    *'obj: host'*) ;;
    *) echo 'dhcpd takes no fixed addresses at port 7911: does it run, and with this key?' >&2; exit 1 ;;
    esac
}
found() {
    ask 'set name = "%s"\nopen\n' "$name"
    case $said in *'not found'*) return 1 ;; esac
}
right() {
    found || return 1
    case $said in *"ip-address = $hex"*) ;; *) return 1 ;; esac
    case $said in *"hardware-address = $mac"*) ;; *) return 1 ;; esac
}
failed() {
    echo "dhcpd does not $1: $(printf %s "$said" | sed -n "s/^[> ]*can't/can't/p" | tail -n 1)" >&2
    exit 1
}

case $verb in
add)
    # shellcheck disable=SC2046 # four numbers
    hex=$(printf '%02x:%02x:%02x:%02x' $(echo "$address" | tr . ' '))
    right && exit 0
    # the same name with something else, or the same card under another name
    ask 'set name = "%s"\nopen\nremove\n' "$name"
    ask 'set hardware-address = %s\nopen\nremove\n' "$mac"
    ask 'set name = "%s"\nset hardware-address = %s\nset hardware-type = 1\nset ip-address = %s\ncreate\n' \
        "$name" "$mac" "$address"
    created=$said
    right && exit 0
    said=$created
    failed "take $address for $name ($mac)" ;;
remove)
    found || exit 0
    ask 'set name = "%s"\nopen\nremove\n' "$name"
    found || exit 0
    failed "forget $name" ;;
esac
