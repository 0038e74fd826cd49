"""routegen: one routes.yaml in, Gateway API and Envoy configuration out."""

from routegen_router import __version__

__all__ = ["__version__"]
