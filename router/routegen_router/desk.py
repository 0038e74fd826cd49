"""What takes requests: a transport, and all that stands behind it to decide. One in each process that decides."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Final

from . import admission, logs, wire
from .addresses import UNIX, StartError
from .admission import Admission
from .certificates import Certificates, UnusableError
from .config import Config
from .grpc_transport import GrpcTransport
from .health import Health
from .journal import Journal
from .metrics import Metrics
from .models import Knowing
from .policy import Policy
from .processor import Active, Processor
from .sockets import Claim
from .transport import Transport

GRACE: Final = 5.0
"""Seconds that streams under way get at the end; they take milliseconds."""

STARTING: Final = 2.0
"""Seconds in which a router that isn't ready leaves requests to others. A gateway may take it for ready for as long: it
was, a moment ago, and has been restarted."""


class Desk:
    """Lives on one event loop. What it decides by is given to it, at first by :meth:`use`."""

    def __init__(self, metrics: Metrics, lines: logs.LineHandler, max_body_bytes: int, share: int) -> None:
        """Prepare.

        :param max_body_bytes: of the longest body that will ever be allowed.
        :param share: among how many processes like this one a router's bounds are divided.
        """
        self.health = Health()
        self._share = share
        self._admission = Admission(max_body_bytes, max(admission.MOST_REQUESTS // share, 1))
        self._active: Active | None = None
        self._journal = Journal(metrics, lines.write_all)
        self._processor = Processor(self._current, self._admission, self._journal, metrics, self._starting)
        self._transport: Transport = GrpcTransport(self._processor, self.health, max_body_bytes)
        metrics.count_in_flight(lambda: self._admission.in_flight)

    def use(self, config: Config, knowing: Knowing, authorizations: Mapping[str, str]) -> None:
        """Decide by this from now on; streams under way keep what they began with."""
        replies = wire.Replies(config.routing_header, authorizations)
        policy = self._active.policy if self._active is not None and self._active.policy.config is config else None
        self._active = Active(policy or Policy(config), knowing, replies)
        self._admission.limit = config.max_inflight_bytes // self._share

    def listen(self, listen: Iterable[str], socket_mode: int) -> list[str]:
        """Listen there; the addresses with their true ports.

        :param socket_mode: who may connect, where an address is a Unix socket.
        :raises StartError: one can't be had, or the certificate for all of them can't be used.
        """
        credentials = self._credentials()
        return [self._bind(address, credentials, socket_mode) for address in listen]

    async def start(self) -> None:
        """Take calls from now on."""
        self._began = time.monotonic()
        await self._transport.start()

    async def stop(self) -> None:
        """Take no further calls, finish those under way, and tell what was decided."""
        self.health.close()
        await self._transport.stop(GRACE)
        self._processor.close()
        self._journal.flush()

    def _bind(self, address: str, credentials: Certificates | None, socket_mode: int) -> str:
        if not address.startswith(UNIX):
            return self._transport.bind(address, credentials)
        claim = Claim(address.removeprefix(UNIX))
        bound = self._transport.bind(address, credentials)
        claim.permit(socket_mode)
        return bound

    def _starting(self) -> bool:
        return not self.health.served and time.monotonic() - self._began < STARTING

    def _credentials(self) -> Certificates | None:
        tls = self._current().policy.config.tls
        try:
            return Certificates(tls) if tls else None
        except UnusableError as error:
            raise StartError(f"tls: {error}") from error

    def _current(self) -> Active:
        assert self._active is not None, "nothing is decided before use()"
        return self._active
