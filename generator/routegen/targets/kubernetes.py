"""What all targets on Kubernetes have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from routegen.common.problems import Remark, UserError
from routegen.distribution import unpublished
from routegen.emit.kubernetes import refused, router_deployment
from routegen.emit.kubernetes.objects import Document
from routegen.plan import Plan
from routegen.targets.target import Output, Rendered

NO_MIRRORS: Final = (
    "copies requests only as Gateway API says it (RequestMirror): with the client's credentials, and without an end"
    " while the other engine hangs; remove it"
)
"""Why no copies go to other engines: they couldn't be kept from seeing keys, nor from piling up."""


def remarks(plan: Plan) -> Iterable[Remark]:
    """What the API server would refuse, and what must be so of the router's pod."""
    yield from refused.refused(plan)
    if unpulled := unpublished(plan.router.image, "spec.router.image", 'README, "Use it"'):
        yield Remark(("spec", "router", "image"), unpulled)
    for backend in router_deployment.unverifiable(plan):
        assert backend.tls is not None
        yield Remark(
            ("spec", "backends", backend.name, "tls", "caConfigMap"),
            f"the router can't mount ConfigMap {backend.tls.ca_config_map} from another namespace, so it can't ask"
            " this engine for its models; list them under `models:` with `poll: {enabled: false}`",
        )


def rendered(document: Document, plan: Plan) -> Rendered:
    """An object with the name of its file."""
    kind, name = document["kind"], document["metadata"]["name"]
    # The ConfigMap's name changes with its content; its file's shouldn't.
    stem = router_deployment.router_name(plan) if kind == "ConfigMap" else name
    return Rendered(kind=kind, name=name, filename=f"{kind.lower()}-{stem}.yaml", document=document)


def too_large(output: Output) -> tuple[str, ...]:
    """What is too large for ``kubectl apply`` as it is mostly used.

    :raises UserError: an object is too large for the API server.
    """
    found = [said for one in output.documents if (said := refused.too_large(dict(one.document)))]
    if impossible := [sentence for sentence, hopeless in found if hopeless]:
        raise UserError("; ".join(impossible))
    return tuple(sentence for sentence, _ in found)
