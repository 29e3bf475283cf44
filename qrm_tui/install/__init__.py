"""Setting up the server: the answers file, and the plan that makes the server as it says."""
