# Makes the key that dhcpd and omshell share, unless FILE holds one that is whole. It never leaves this machine.
# HMAC-SHA256 wants 256 bits (RFC 2104).
set -e
umask 027
file=$1
grep -qsE '^ *secret "[A-Za-z0-9+/]{43}=";$' "$file" && exit 0
mkdir -p "$(dirname "$file")"
{
    printf '# Made by qrm on this machine.\nkey qrm {\n    algorithm hmac-sha256;\n    secret "'
    head -c 32 /dev/urandom | base64 -w 0
    printf '";\n};\n'
} >"$file.new"
chmod 640 "$file.new"
sync "$file.new"
mv -f "$file.new" "$file"
