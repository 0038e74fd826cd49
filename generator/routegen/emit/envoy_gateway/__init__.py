"""Envoy Gateway's own kinds: its policies, its ``Backend``, and the filter by which its routes answer by themselves."""
