"""``routegen explain``: what a gateway would do with one request, and why."""
