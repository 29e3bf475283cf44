# UNIT PORT...: why it does not start: what it needs and did not get, who has its ports, and its own last words.
unit=$1; shift
for one in $(systemctl list-dependencies --plain --state=failed -- "$unit"); do
    [ "$one" = "$unit" ] || journalctl --quiet --no-pager --output cat --lines 2 --unit "$one"
done
for port do
    ss -H -lntup "sport = :$port" |
        sed -n "s/.*users:((\"\\([^\"]*\\)\",pid=\\([0-9]*\\),.*/port $port is held by \\1 (process \\2)/p" | sort -u
done
journalctl --quiet --no-pager --output cat --lines 6 --unit "$unit"
