# VERB PACKAGE...: they are removed, or purged. What a power cut left half done is finished first.
export DEBIAN_FRONTEND=noninteractive
verb=$1
shift
# what it complains of, apt will say again
dpkg --force-confold --configure --pending || :
# dpkg wants a package that was cut while it was unpacked to be whole again before it goes
apt-get --yes -o APT::Status-Fd=1 -o Dpkg::Options::=--force-remove-reinstreq "$verb" "$@"
