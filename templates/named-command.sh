# A command that outlives whoever started it, under a name of its own.
#   run NAME COMMAND...   start it, or find it running or ended; print what it prints; exit as it did (125: it was killed)
#   end NAME              stop it if it runs, and forget it
# Its folder lies in /run, which a restart of the machine empties: then it is run anew.
verb=$1 name=$2; shift 2
folder=${QRM_RUN:-/run/qrm}/$name
systemd() { [ -d /run/systemd/system ] && [ "$(id -u)" = 0 ]; }
alive() { [ -s "$folder/pid" ] && kill -0 "$(cat "$folder/pid")" 2>/dev/null; }

if [ "$verb" = end ]; then
    if alive; then
        kill -TERM -- "-$(cat "$folder/pid")" 2>/dev/null
        i=0; while alive && [ $i -lt 50 ]; do i=$((i + 1)); sleep 0.1; done
        alive && kill -KILL -- "-$(cat "$folder/pid")" 2>/dev/null
    fi
    rm -rf "$folder"
    exit 0
fi

umask 077
mkdir -p "$folder" || exit 1
# started once: the first one to make this folder starts it
if mkdir "$folder/started" 2>/dev/null; then
    body='echo $$ >"$0/pid.new"; mv "$0/pid.new" "$0/pid"; : >"$0/out"; "$@" >>"$0/out" 2>&1 </dev/null
        echo $? >"$0/status.new"; sync; mv "$0/status.new" "$0/status"'
    if systemd; then
        systemd-run --quiet --collect --unit="$name" --property=KillMode=mixed -- \
            setsid --wait sh -c "$body" "$folder" "$@" || { rm -rf "$folder"; exit 1; }
    else
        # twice forked: as a child of this shell it would stay a zombie, which looks alive
        (setsid sh -c "$body" "$folder" "$@" >/dev/null 2>&1 </dev/null &)
    fi
fi
i=0
while [ ! -s "$folder/pid" ] && [ ! -e "$folder/status" ]; do
    i=$((i + 1)); [ $i -gt 300 ] && { rm -rf "$folder"; exit 125; }
    sleep 0.05
done
tail -c +1 -s 0.2 -f --pid="$(cat "$folder/pid")" "$folder/out" 2>/dev/null
i=0
while [ ! -e "$folder/status" ]; do
    alive || { i=$((i + 1)); [ $i -gt 20 ] && { rm -rf "$folder"; exit 125; }; }
    sleep 0.05
done
exit "$(cat "$folder/status")"
