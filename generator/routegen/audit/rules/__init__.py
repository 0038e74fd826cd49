"""Every rule, in the order of their ids: one explicit list, nothing registers itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from routegen.audit.findings import Rule
from routegen.audit.rules import (
    behaviour,
    cpu_memory,
    gpu,
    gpu_memory,
    identity,
    image,
    model,
    network,
    placement,
    probes,
    storage,
    suppression,
    unread,
)

_ABOUT_ENGINES: Final = (
    *gpu.RULES,
    *gpu_memory.RULES,
    *cpu_memory.RULES,
    *placement.RULES,
    *storage.RULES,
    *model.RULES,
    *behaviour.RULES,
    *image.RULES,
    *probes.RULES,
    *network.RULES,
    *identity.RULES,
    *unread.RULES,
)

RULES: Final[tuple[Rule, ...]] = tuple(
    sorted((*_ABOUT_ENGINES, *suppression.rules(_ABOUT_ENGINES)), key=lambda rule: rule.id)
)

BY_ID: Final[Mapping[str, Rule]] = {rule.id: rule for rule in RULES}
assert len(BY_ID) == len(RULES), "two rules bear one id"
