"""``routegen status``: is what a routes.yaml renders live in the cluster? Only read, never changed."""
