"""Real machines for the tests: a storage server that boots in user-mode-linux, in network namespaces of its own."""
