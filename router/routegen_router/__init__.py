"""The run-time half of routegen: an Envoy external processor that chooses an engine per request."""

__version__ = "0.1.0"
