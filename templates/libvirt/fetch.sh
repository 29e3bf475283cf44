# Kernel and initrd of a boot-image (its URL: $1) come into a folder ($2), whole or not at all. wget is the agent's.
[ ! -d "$2" ] || exit 0
new="$2.new"
rm -rf "$new"
mkdir -p "$new"
for file in vmlinuz initrd.img; do
    /run/qrm/busybox wget -q -O "$new/$file" "$1/$file"
done
sync "$new/vmlinuz" "$new/initrd.img"
mv -T "$new" "$2"
