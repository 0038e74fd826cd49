"""Images: whether it is certain what runs."""

from __future__ import annotations

from collections.abc import Iterator

from routegen.audit.engine import Engine, split_image
from routegen.audit.facts import Fact
from routegen.audit.findings import Hit, Severity, rule
from routegen.audit.pairs import Pair
from routegen.audit.rules.checks import unequal

_MOVING = {"", "latest", "nightly", "main", "master", "dev", "edge", "stable"}


@rule(
    "FAIR070",
    "image",
    Severity.WARNING,
    title="An image's tag moves",
    why="The next start can run another version of the engine than the last measurement did.",
)
def moving_tag(pair: Pair) -> Iterator[Hit]:
    """The image has no tag, or one that is moved by habit (`latest`, `nightly`, `main`, …), and no digest."""
    for engine, other in pair.each():
        fact = engine.image
        if not isinstance(fact.value, str):
            continue
        repository, tag, _ = split_image(fact.value)
        if _moves(fact.value):
            message = f"{engine.name} runs {repository} {'with the tag ' + tag if tag else 'without a tag'}"
            fix = f"image: {repository}:<version>@sha256:<digest>  # {engine.name}"
            yield Hit(message, (fact, other.image), fix)


@rule(
    "FAIR071",
    "image",
    Severity.INFO,
    title="An image is not pinned by digest",
    why="A tag names what a registry holds today; only the digest names one image for good.",
)
def no_digest(pair: Pair) -> Iterator[Hit]:
    """The image is named without `@sha256:…`. Tags that move are FAIR070's.

    Images that KServe's preset chooses can't be judged: cannot tell.
    """
    for engine, other in pair.each():
        fact = engine.image
        if not fact.known:
            message = f"cannot tell the image of {engine.name}: {fact.note}"
            yield Hit(message, (fact, other.image), "# name the image in the container `main`", unknown=True)
        elif isinstance(fact.value, str) and not split_image(fact.value)[2] and not _moves(fact.value):
            fix = f"image: {fact.value}@sha256:<digest>  # {engine.name}"
            yield Hit(f"{engine.name} runs {fact.value}, which has no digest", (fact, other.image), fix)


@rule(
    "FAIR072",
    "image",
    Severity.INFO,
    title="The images are pulled by different policies",
    why="One engine can get a new build at its next start while the other keeps the old one.",
)
def pull_policy(pair: Pair) -> Iterator[Hit]:
    """`imagePullPolicy` differs, Kubernetes' default included: `Always` for `latest` or no tag, else `IfNotPresent`."""
    facts = (_policy(pair.first), _policy(pair.second))
    yield from unequal(pair, facts, "imagePullPolicy", "imagePullPolicy: IfNotPresent  # in both")


def _moves(image: str) -> bool:
    _, tag, digest = split_image(image)
    return not digest and tag.lower() in _MOVING


def _policy(engine: Engine) -> Fact:
    written = engine.fact("imagePullPolicy")
    image = engine.get("image")
    if written.state == "set" or not isinstance(image, str):
        return written
    _, tag, digest = split_image(image)
    default = "Always" if tag in {"", "latest"} and not digest else "IfNotPresent"
    return written if not written.known else Fact("default", default, written.place, "Kubernetes' default")


RULES = (moving_tag, no_digest, pull_policy)
