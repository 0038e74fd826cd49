"""Reading routes.yaml: YAML with positions, strict types, every problem at once."""

from routegen.spec.models import Routes
from routegen.spec.reading import Reading, read

__all__ = ["Reading", "Routes", "read"]
