# PACKAGE...: they are installed. What a power cut or a full disk left half done is finished first: by dpkg, and by apt
# where a package was cut while it was unpacked, or where what it depends on is not there yet.
export DEBIAN_FRONTEND=noninteractive
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
