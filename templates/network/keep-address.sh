# arguments: interface, ADDRESS/PREFIX. The address stays when the lease ends, and nobody asks for another one.
ip address replace "$2" dev "$1" valid_lft forever preferred_lft forever || exit
for pid in "/run/dhclient.$1.pid" "/run/dhclient-$1.pid"; do
    [ ! -e "$pid" ] || dhclient -x -pf "$pid" "$1" >/dev/null 2>&1 || :
done
# dhclient -x leaves the address; once more, should it have been on its way to change it
ip address replace "$2" dev "$1" valid_lft forever preferred_lft forever
