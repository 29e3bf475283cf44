# UNITS PACKAGE...: packages are installed; the units (words of one argument, or none) do not start meanwhile. What a
# power cut or a full disk left half done is finished first: by dpkg, and by apt where a package was cut while it was
# unpacked, or where what it depends on is not there yet.
export DEBIAN_FRONTEND=noninteractive
units=$1
shift
# they were masked before, and a restart of the machine has taken that away
# shellcheck disable=SC2086 # one word a unit
[ -z "$units" ] || systemctl --quiet mask --runtime -- $units || exit
apt() {
    apt-get --yes --no-remove --no-install-recommends -o Dpkg::Options::=--force-confold -o APT::Status-Fd=1 "$@"
}
# what it complains of, apt will say again
dpkg --force-confold --configure --pending || :
half=$(dpkg-query --show --showformat='${db:Status-Status} ${binary:Package}\n' | sed -n 's/^half-installed //p')
# shellcheck disable=SC2086 # one word a package
[ -z "$half" ] || apt --reinstall install $half || exit
apt --fix-broken install || exit
apt install "$@"
