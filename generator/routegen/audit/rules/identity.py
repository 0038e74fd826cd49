"""The input itself: whether its objects can exist beside each other."""

from __future__ import annotations

from collections.abc import Iterator

from routegen.audit.facts import Fact
from routegen.audit.findings import Hit, Severity, rule
from routegen.audit.pairs import Pair
from routegen.audit.reading import Manifest

_FIX = "metadata: {name: <another>}  # or give the audit only one of the two, as kustomize or Helm print it"


@rule(
    "FAIR077",
    "input",
    Severity.ERROR,
    title="Two manifests are one object",
    why="A cluster has one object of a kind, namespace and name; which of the two it is, the input doesn't tell.",
)
def one_object(pair: Pair) -> Iterator[Hit]:
    """Both engines have one kind, namespace and name, so that they are one engine under two manifests.

    Or the input holds another object twice, with different content: then what the rules read of it may not be what
    runs, which is a warning. A folder with a base and its overlays is such an input; render it first.
    """
    engines = (pair.first.manifest.written, pair.second.manifest.written)
    if engines[0] is not engines[1] and _key(engines[0]) == _key(engines[1]):
        message = f"{pair.first.name} and {pair.second.name} are one object, {engines[0].title}"
        yield Hit(message, (_named(engines[0]), _named(engines[1])), _FIX)
    seen: dict[tuple[str, str, str, str], Manifest] = {}
    for manifest in pair.world:
        before = seen.setdefault(_key(manifest), manifest)
        both_compared = any(before is one for one in engines) and any(manifest is one for one in engines)
        if before is not manifest and before.value != manifest.value and manifest.name and not both_compared:
            message = f"cannot tell which {manifest.title} holds: it stands in the input twice, with different content"
            yield Hit(message, (_named(manifest), _named(before)), _FIX, unknown=True)


def _key(manifest: Manifest) -> tuple[str, str, str, str]:
    group = str(manifest.value.get("apiVersion", "")).rpartition("/")[0]
    return group, manifest.kind, manifest.namespace, manifest.name


def _named(manifest: Manifest) -> Fact:
    return manifest.fact("metadata", "name")


RULES = (one_object,)
