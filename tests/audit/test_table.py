"""The table of resources: each state, for the reason that a case was made for."""

from __future__ import annotations

from pathlib import Path

import pytest

from routegen.audit.reading import read_manifests
from routegen.audit.report import audit
from routegen.audit.table import Row

CASES = Path(__file__).parent / "cases"


def _rows(case: str) -> dict[str, Row]:
    [compared] = audit(read_manifests([str(CASES / f"{case}.yaml")])).compared
    return {row.resource: row for row in compared.rows}


@pytest.mark.parametrize(
    ("case", "resource", "state", "why"),
    [
        ("FAIR001/fires", "GPU", "conflicting", "both are pinned to GPU 0"),
        ("FAIR001/near-miss", "GPU", "isolated", "GPU 0 and GPU 1"),
        ("FAIR003/fires", "GPU", "cannot tell", "may be the same"),
        ("FAIR004/fires", "GPU", "conflicting", "every GPU"),
        ("FAIR004/cannot-tell", "GPU", "cannot tell", "image decides"),
        ("FAIR004/near-miss", "GPU", "isolated", "neither engine uses a GPU"),
        ("FAIR006/fires", "GPU", "shared", "slices of time"),
        ("FAIR006/near-miss", "GPU", "isolated", "MIG"),
        ("FAIR007/fires-cpu", "GPU", "isolated", "only one engine"),
        ("FAIR008/fires", "GPU", "cannot tell", "privileged"),
        ("FAIR017/fires", "GPU memory", "conflicting", "1.10"),
        ("FAIR017/near-miss", "GPU memory", "isolated", "follows"),
        ("FAIR006/fires", "GPU memory", "cannot tell", "depends"),
        ("FAIR027/fires", "system memory", "shared", "without a limit"),
        ("FAIR027/near-miss", "system memory", "shared", "8Gi and 8Gi"),
        ("FAIR020/fires", "CPU", "shared", "set CPU requests and limits"),
        ("FAIR020/near-miss", "CPU", "isolated", "Guaranteed"),
        ("FAIR022/near-miss", "CPU", "shared", "limited to 4 and 4"),
        ("FAIR030/cannot-tell", "CPU", "cannot tell", "nothing holds them to one node"),
        ("FAIR030/near-miss", "CPU", "isolated", "4 and 4"),
        ("FAIR040/fires", "disk", "shared", "both write to one Hugging Face cache"),
        ("FAIR040/near-miss", "disk", "shared", "read-only for both"),
        ("FAIR041/fires", "disk", "conflicting", "ReadWriteOncePod"),
        ("FAIR041/cannot-tell", "disk", "cannot tell", "may not both"),
        ("FAIR093/fires", "network", "conflicting", "port 8000"),
        ("FAIR093/cannot-tell", "network", "cannot tell", "port 8000"),
        ("FAIR093/near-miss", "network", "shared", "one node's network"),
    ],
)
def test_a_resource_has_the_state_that_the_manifests_give_it(case: str, resource: str, state: str, why: str) -> None:
    row = _rows(case)[resource]
    assert row.state == state
    assert why in row.why


def test_different_nodes_isolate_everything_but_a_common_volume() -> None:
    states = {name: row.state for name, row in _rows("FAIR030/fires").items()}
    assert states.pop("disk") == "shared"
    assert set(states.values()) == {"isolated"}


def test_containers_of_one_pod_are_on_one_node() -> None:
    rows = _rows("FAIR093/fires-one-pod")
    assert rows["system memory"].state == "shared"
    assert rows["network"].state == "conflicting"
