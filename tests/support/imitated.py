"""A whole gateway for tests, as Envoy Gateway would set it up: mock engines, the real router, a real Envoy."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from routegen.mock_engine import PERSONALITIES, VLLM
from routegen.pipeline import render
from routegen.plan import Plan
from routegen_router import config
from support.envoy import CURRENT, Envoy
from support.envoy_gateway import bootstrap
from support.gateway import Gateway, engines, with_engines
from support.router import running, wait_for


@contextmanager
def imitated(
    plan: Plan,
    models: Mapping[str, Sequence[str]],
    *,
    version: str = CURRENT,
    instead: str | None = None,
    beside: Sequence[str] = (),
    more: Sequence[Mapping[str, Any]] = (),
    adjust: Callable[[Plan], Plan] = lambda plan: plan,
) -> Iterator[Gateway]:
    """Engines, the router with the rendered ConfigMap's contents, and Envoy.

    :param models: backend -> the models that its mock engine serves; its personality is its owner's, or vLLM's.
    :param instead: another router's address, which is used in place of the real one; empty: no router has one.
    :param beside: addresses of further routers.
    :param more: objects beside those that are rendered.
    :param adjust: a last change to the plan before anything but the engines runs.
    """
    with ExitStack() as stack:
        owners = {backend.name: backend.owner or "" for backend in plan.backends}
        wanted = {name: (PERSONALITIES.get(owners[name], VLLM), served) for name, served in models.items()}
        mocks = stack.enter_context(engines(wanted))
        plan = adjust(with_engines(plan, mocks))
        documents = [document.document for document in render(plan).documents]
        (config_map,) = (document for document in documents if document["kind"] == "ConfigMap")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="router-")))
        settings = config.load(config_map["data"]["router.json"].encode())
        router = stack.enter_context(running(folder, settings, "--ready-file", str(folder / "ready")))
        wait_for((folder / "ready").exists, "the router to know every engine's models")
        first = router.listen if instead is None else [instead]
        routers = [address for address in (*first, *beside) if address]
        envoy = stack.enter_context(Envoy(bootstrap([*documents, *more], *routers), version=version))
        yield Gateway(plan, envoy, mocks, envoy.port(), router)
