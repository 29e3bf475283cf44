# VERB PACKAGE...: they are removed, or purged. What a power cut left half done is finished first.
export DEBIAN_FRONTEND=noninteractive
verb=$1
shift
# what it complains of, apt will say again
dpkg --force-confold --configure --pending || :
apt-get --yes -o APT::Status-Fd=1 "$verb" "$@"
