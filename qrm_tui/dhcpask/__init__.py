"""Asks on a wire who offers addresses: a program of its own, since it opens a raw socket and waits."""
