"""What a target is: a gateway's capabilities, and the documents that it makes of a plan."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from routegen.common.asking import Answers, Question
from routegen.common.problems import Remark, Trouble
from routegen.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a target can express. The compiler asks these and never a target's name."""

    certificates: frozenset[Literal["files", "secrets"]]
    """Where certificates may come from: PEM files on the gateway's disk, or Secrets and ConfigMaps."""
    creates_gateway: bool
    """A Gateway object is rendered (``gateway.name``, ``namespace``, ``className``, ``create``)."""
    binds_addresses: bool
    """A listener may be bound to one IP address (``listeners[].address``)."""
    bounds_memory: bool
    """The gateway's heap is bounded (``gateway.memory``)."""
    deploys_router: bool
    """The router's Pods are rendered (``router.image``, ``replicas``, ``resources``); without, it is found at
    ``router.addresses``."""
    workers: bool = True
    """It spreads requests over several ports of the router's (``router.workers``)."""
    pools: bool
    """It reads InferencePools from the cluster and asks their pickers."""
    asks_pickers: bool = False
    """It asks a pool's picker at the address that routes.yaml gives."""
    no_pools: str = "use service or endpoints"
    """Where it does neither: why, and what to do."""
    pool_tls: bool
    """It speaks TLS to a pool's pods."""
    second_choices: bool
    """It sends a request elsewhere, as the router says, where an engine refuses the connection (``failover``)."""
    first_byte: Literal["backends", "file", "none"] = "none"
    """It ends a request whose answer doesn't begin in time (``timeouts.firstByte``), by a time for each backend, or by
    one for all."""
    cors: bool = False
    """It answers preflights and lets pages of other origins read answers (``cors``)."""
    no_cors: str = "can't say it; remove it, and let what stands in front of the gateway do it"
    """Where it doesn't: why, and what to do."""
    mirrors: bool = False
    """It copies requests to another engine, without credentials and within bounds (``backends.NAME.mirror``)."""
    no_mirrors: str = "can't copy requests to another engine; remove it"
    """Where it doesn't: why, and what to do."""
    router_tls: bool = False
    """It speaks TLS to the router and shows it a certificate (``router.tls``)."""
    verifies_addresses: bool
    """It verifies a certificate for an IP address; without, such an engine needs ``tls.serverName``."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """One document: a Kubernetes object or a configuration file."""

    kind: str
    """What ``--only`` selects, such as ``HTTPRoute`` or ``router-config``."""
    name: str
    """Unique among the documents of its kind."""
    filename: str
    """Where ``-o DIR`` writes it, relative to DIR; ``.yaml``, or ``.json`` for a program's own file."""
    document: Mapping[str, Any]
    """Plain data, in output order."""
    companion: bool = False
    """True: a file for another program than the other documents'; not on stdout unless ``--only`` names its kind."""


@dataclass(frozen=True, slots=True)
class Output:
    """All that a target makes of a plan."""

    documents: tuple[Rendered, ...]
    """In an order that suits whoever applies them."""


Objects = Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]
"""What is in a cluster: (kind, namespace) -> all of them there; namespace empty where the kind has none."""


class Target(ABC):
    """One gateway that output is rendered for.

    A target's module is imported wherever its capabilities are asked for, so what is heavy belongs inside
    :meth:`render`.
    """

    name: ClassVar[str]
    """As in ``spec.gateway.target`` and ``--target``."""
    capabilities: ClassVar[Capabilities]
    gateway_class: ClassVar[str] = ""
    """The GatewayClass of a Gateway that is rendered, where routes.yaml names none."""

    @property
    def sentence(self) -> str:
        """What it is, for ``routegen plugins``: the first line of its docstring."""
        return (type(self).__doc__ or "").strip().partition("\n")[0]

    def examine(self, plan: Plan) -> Iterable[Remark]:  # noqa: ARG002 - most gateways have something to say
        """Say what this target can't make of ``plan`` (``refused``), and what the person who renders has to know.

        Called for ``validate`` and before :meth:`render`, also where ``plan`` has mistakes: names that nobody bears.
        """
        return ()

    def also_read(self, plan: Plan) -> Iterable[tuple[str, str, str | None]]:  # noqa: ARG002 - for :meth:`examine_live`
        """What ``routegen status`` has to list beside the kinds that are rendered: (version, kind, namespace)."""
        return ()

    def questions(self, plan: Plan, objects: Objects) -> Iterable[Question]:  # noqa: ARG002 - for :meth:`examine_live`
        """What ``routegen status`` has to ask pods of the gateway, once everything is listed."""
        return ()

    def examine_live(self, plan: Plan, objects: Objects, answers: Answers) -> Iterable[Trouble]:  # noqa: ARG002
        """Say what is wrong in a cluster with what this target needs and doesn't render."""
        return ()

    def unseen(self, objects: Objects, answers: Answers) -> Iterable[str]:  # noqa: ARG002 - most see all they need
        """Say what couldn't be looked at, and how a person finds out."""
        return ()

    @abstractmethod
    def render(self, plan: Plan) -> Output:
        """Make the documents for ``plan``, of which :meth:`examine` refused nothing."""

    def check(self, output: Output) -> tuple[str, ...]:  # noqa: ARG002 - for targets that have a program to ask
        """Let a program on this machine check what is about to be written, where the target has one.

        :returns: sentences about what wasn't checked.
        :raises UserError: it is refused.
        """
        return ()
