"""``make demo``: everything on this machine, a set of requests, and where they went."""
