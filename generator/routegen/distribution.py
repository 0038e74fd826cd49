"""Where routegen itself comes from. Nothing of it is published yet: no package, no image.

So whatever names one must work from a clone, and be a name that nobody else can own: on an index or a registry, a name
that is free today is anybody's tomorrow. Once images are published, :data:`REGISTRY` changes, and nothing else.
"""

from __future__ import annotations

from typing import Final

from routegen import __version__

REGISTRY: Final = "unpublished.invalid"
"""The registry of the default images. Nobody can own a host under ``.invalid`` (RFC 6761, section 6.4)."""

ROUTER_IMAGE: Final = f"{REGISTRY}/routegen-router:{__version__}"
"""What Dockerfile makes: the router."""

ROUTEGEN_IMAGE: Final = f"{REGISTRY}/routegen:{__version__}"
"""What generator/Dockerfile makes: the whole command line."""

_DOCKERFILES: Final = {ROUTER_IMAGE: "Dockerfile", ROUTEGEN_IMAGE: "generator/Dockerfile"}


def unpublished(image: str, setting: str, more: str) -> str | None:
    """What to do about an image that no cluster can pull; ``None``: it isn't one of ours, or is published.

    :param setting: where the built image's name goes.
    :param more: where the command that builds it stands.
    """
    dockerfile = _DOCKERFILES.get(image)
    if dockerfile is None or not REGISTRY.endswith(".invalid"):
        return None
    return f"the default image isn't published; build it from {dockerfile} and put its name into {setting} ({more})"


def how_to_install(extra: str) -> str:
    """What brings the packages of ``extra`` (pyproject.toml)."""
    return f"in a clone of routegen: pip install '.[{extra}]'"
