"""How many processes decide for each router, and where: gateways are told, so it is settled when they are."""

from __future__ import annotations

from collections.abc import Iterator

from routegen.common.positions import Path
from routegen.common.quantities import amount
from routegen.compile.names import Findings
from routegen.spec.models import MOST_WORKERS, RouterSpec
from routegen.targets import Target
from routegen_router.addresses import HIGHEST, UNIX, of_worker


def workers(router: RouterSpec, target: Target) -> int:
    """The number that the file asks for; else as many as the pod may use processors, rounded down.

    One at least. Where no pod is rendered nobody knows its processors, so it is one; so it is where a gateway can't ask
    several.
    """
    if router.workers is not None:
        return router.workers
    resources = router.resources
    processors = resources.limits.get("cpu") or resources.requests.get("cpu")
    if processors is None or not (target.capabilities.deploys_router and target.capabilities.workers):
        return 1
    return min(max(int(amount(processors)), 1), MOST_WORKERS)


def places(router: RouterSpec, count: int, path: Path, findings: Findings) -> tuple[str, ...]:
    """The address of each worker of each router."""
    for index, address in enumerate(router.addresses):
        if not address.startswith(UNIX) and int(address.rpartition(":")[2]) + count - 1 > HIGHEST:
            findings.add(
                (*path, "addresses", index), f"{address}: {count} workers need as many ports, and {HIGHEST} is the last"
            )
            return tuple(router.addresses)
    found = tuple(_each(router.addresses, count))
    twins = sorted({address for address in found if found.count(address) > 1})
    if twins and count > 1:
        findings.add(
            (*path, "addresses"),
            f"two of {count} workers each would be at {twins[0]}: they take the ports behind an address",
        )
    return found


def _each(addresses: list[str], count: int) -> Iterator[str]:
    for address in addresses:
        yield from (of_worker(address, index) for index in range(count))
