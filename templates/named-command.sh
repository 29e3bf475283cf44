# A command that outlives whoever started it, under a name of its own.
#   run NAME COMMAND...   start it, or find it running or ended; print what it prints; exit as it did (125: it was killed)
#   end NAME              stop it if it runs, and forget it
# Its folder lies in /run, which a restart of the machine empties: then it is run anew.
verb=$1 name=$2; shift 2
folder=${QRM_RUN:-/run/qrm}/$name
systemd() { [ -d /run/systemd/system ] && [ "$(id -u)" = 0 ]; }
# a zombie that nobody has fetched yet is dead
alive() {
    [ -s "$folder/pid" ] && read -r pid <"$folder/pid" && read -r _ _ state _ 2>/dev/null <"/proc/$pid/stat" &&
        [ "$state" != Z ]
}

if [ "$verb" = end ]; then
    if alive; then
        kill -s TERM -- "-$pid" 2>/dev/null
        i=0; while alive && [ $i -lt 50 ]; do i=$((i + 1)); sleep 0.1; done
        alive && kill -s KILL -- "-$pid" 2>/dev/null
    fi
    rm -rf "$folder"
    exit 0
fi

umask 077
mkdir -p "$folder" || exit 1
# started once: the first one to make this folder starts it
if mkdir "$folder/started" 2>/dev/null; then
    body='read -r pid _ </proc/self/stat; echo "$pid" >"$0/pid.new"; mv "$0/pid.new" "$0/pid"; : >"$0/out"
        "$@" >>"$0/out" 2>&1 </dev/null; echo $? >"$0/status.new"; sync; mv "$0/status.new" "$0/status"'
    if systemd; then
        # systemd takes every two dollars of a command line for one
        for word do shift; set -- "$@" "$(printf %s "$word" | sed 's/\$/$$/g')"; done
        body=$(printf %s "$body" | sed 's/\$/$$/g')
        # a description of its own: else it is the command, whose lines systemd would read as settings at its next reload
        systemd-run --quiet --collect --unit="$name" --description="qrm: $name" --property=KillMode=mixed -- \
            setsid --wait sh -c "$body" "$folder" "$@" || { rm -rf "$folder"; exit 1; }
    else
        # twice forked: as a child of this shell it would stay a zombie, which looks alive
        (setsid sh -c "$body" "$folder" "$@" >/dev/null 2>&1 </dev/null &)
    fi
fi
printed=0
show() {
    [ -e "$folder/out" ] || return
    size=$(wc -c <"$folder/out")
    [ "$size" -gt "$printed" ] || return
    tail -c "+$((printed + 1))" "$folder/out" | head -c "$((size - printed))"
    printed=$size
}
i=0 dead=0
while [ ! -e "$folder/status" ]; do
    if [ -s "$folder/pid" ]; then
        show
        # it may have ended between the two questions
        alive || { dead=$((dead + 1)); [ $dead -gt 5 ] && { rm -rf "$folder"; exit 125; }; }
    elif [ $i -gt 100 ] || [ ! -d "$folder" ]; then
        rm -rf "$folder"; exit 125
    fi
    [ $i -lt 20 ] && sleep 0.1 || sleep 0.5
    i=$((i + 1))
done
show
read -r status <"$folder/status"
if [ -z "$status" ]; then
    echo "how it ended could not be written down: ${folder%/*} is full" >&2
    exit 1
fi
exit "$status"
