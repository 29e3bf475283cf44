# A partition's filter. Verb ($1): load, loaded, drop; then its file, its card's device, and (but for drop) the bridge
# and the rules. Besides the file lies what the kernel made of it, which `loaded` compares with what it has now.
# Verb digest, with the bridge in the same place: prints what changes with any filter.
has_nft() { command -v nft >/dev/null; }
list() { nft --stateless list table bridge "$1"; }
# The bridge hands LLDP to no filter unless it forwards it (Linux, br_handle_frame), and yet learns MACs from it.
mask="/sys/class/net/${4-}/bridge/group_fwd_mask" lldp=0x4000

case $1 in
load)
    has_nft || {
        echo "this host has no nft, and nothing else holds partitions to their addresses: install nftables in its image"
        exit 1
    } >&2
    mkdir -p "${2%/*}"
    printf %s "$5" >"$2.new"
    nft --check --file "$2.new"
    echo "$lldp" >"$mask"
    nft --file "$2.new"
    list "$3" >"$2.loaded"
    mv "$2.new" "$2"
    ;;
loaded)
    has_nft
    printf %s "$5" | cmp --silent "$2" -
    [ "$(cat "$mask")" = "$lldp" ]
    list "$3" | cmp --silent "$2.loaded" -
    ;;
digest)
    cat "$mask"
    nft --stateless list ruleset bridge | cksum
    ;;
drop)
    if has_nft; then
        printf 'add table bridge %s\ndelete table bridge %s\n' "$3" "$3" | nft --file -
    fi
    rm -f "$2" "$2.loaded" "$2.new"
    ;;
esac
