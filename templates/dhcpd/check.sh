# dhcpd's own check of FILE, and what is wrong in one line: it says much besides, and shows the lines themselves, of which
# one may hold the key.
said=$(dhcpd -t -4 -cf "$1" 2>&1) && exit 0
wrong=$(printf '%s\n' "$said" | sed -n -e 's,/\.qrm-new-[^/]*/,/,' -e '/ line [0-9]*: /p' -e "/^Can't /p" | head -n 3 | tr '\n' ';')
wrong=${wrong:-$(printf '%s\n' "$said" | grep -v '^ *$' | tail -n 1)}
echo "${wrong%;}" >&2
exit 1
