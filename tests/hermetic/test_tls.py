"""TLS between a gateway and the router: who gets in, what is refused, and how certificates are renewed."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import msgspec
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from routegen_router import config
from routegen_router.certificates import UNUSABLE, UnusableError, read
from routegen_router.config import Tls
from routegen_router.live import REFUSED
from routegen_router.transport import Pem
from support.pki import Authority, Leaf
from support.router import RouterProcess, router_config, running, wait_for

NAME = "router.test"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki") / "ours")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki") / "theirs")


def files(leaf: Leaf) -> Tls:
    return Tls(cert_file=str(leaf.cert), key_file=str(leaf.key), ca_file=str(leaf.ca))


@contextlib.asynccontextmanager
async def channel(router: RouterProcess, ca: bytes, shown: Leaf | None) -> AsyncIterator[grpc.aio.Channel]:
    """A new connection that trusts ``ca`` and shows a certificate, or none."""
    pair = (None, None) if shown is None else (shown.key.read_bytes(), shown.cert.read_bytes())
    credentials = grpc.ssl_channel_credentials(ca, *pair)
    options = [("grpc.ssl_target_name_override", NAME), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.secure_channel(router.address, credentials, options=options) as opened:
        yield opened


async def serves(router: RouterProcess, ca: bytes, shown: Leaf | None) -> bool:
    """Whether somebody who shows this certificate is answered."""
    async with channel(router, ca, shown) as opened:
        stub = health_pb2_grpc.HealthStub(opened)
        try:
            reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
        except grpc.aio.AioRpcError:
            return False
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


def ready(router: RouterProcess) -> bool:
    with urllib.request.urlopen(f"http://{router.status}/readyz", timeout=5) as probe:
        return bool(probe.status == 200)


async def test_only_who_shows_a_certificate_of_the_authority_is_answered(
    authority: Authority, stranger: Authority, tmp_path: Path
) -> None:
    with running(tmp_path, router_config(tls=files(authority.sign(NAME)))) as router:
        wait_for(lambda: router.logged("ready"), "the router to be ready")
        assert await serves(router, authority.pem, authority.sign("gateway"))
        assert not await serves(router, authority.pem, None)
        assert not await serves(router, authority.pem, stranger.sign("gateway"))
        assert not await serves(router, authority.pem, authority.sign("gateway", days=-1)), "it has expired"
        async with grpc.aio.insecure_channel(router.address) as plain:
            with pytest.raises(grpc.aio.AioRpcError):
                await health_pb2_grpc.HealthStub(plain).Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert await asyncio.to_thread(ready, router), "Kubernetes' probes show no certificate"


async def test_renewed_files_are_used_from_the_next_connection_on_and_broken_ones_never(
    authority: Authority, stranger: Authority, tmp_path: Path
) -> None:
    """The authority of clients changes with the certificate: every file is read again."""
    leaf, gateway = authority.sign(NAME).copied(tmp_path / "tls"), authority.sign("gateway")
    with running(tmp_path, router_config(tls=files(leaf))) as router:
        wait_for(lambda: router.logged("ready"), "the router to be ready")
        async with channel(router, authority.pem, gateway) as before:
            stub = health_pb2_grpc.HealthStub(before)
            await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)

            leaf.key.write_text("no key")
            assert await serves(router, authority.pem, gateway)
            assert await serves(router, authority.pem, gateway)
            [told] = router.logged(UNUSABLE)
            assert "tls.key are no certificate with its key" in told["problem"]

            leaf.becomes(stranger.sign(NAME))
            assert await serves(router, stranger.pem, stranger.sign("gateway"))
            assert not await serves(router, stranger.pem, gateway)
            assert router.logged("a certificate has changed")
            await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)  # a connection that is open goes on


async def test_every_worker_asks_for_a_certificate(authority: Authority, tmp_path: Path) -> None:
    settings = router_config(tls=files(authority.sign(NAME)), max_inflight_bytes=32 << 20)
    with running(tmp_path, settings, "--workers", "2") as router:
        wait_for(lambda: router.logged("ready"), "the router to be ready")
        for address in router.listen:
            one = dataclasses.replace(router, listen=[address])
            assert await serves(one, authority.pem, authority.sign("gateway"))
            assert not await serves(one, authority.pem, None)


def test_whether_there_is_tls_at_all_changes_with_a_restart_only(authority: Authority, tmp_path: Path) -> None:
    settings = router_config(tls=files(authority.sign(NAME)))
    with running(tmp_path, settings) as router:
        router.rewrite(config.dump(msgspec.structs.replace(settings, tls=msgspec.UNSET)))
        wait_for(lambda: router.logged(REFUSED), "the change to be refused")
        assert "tls can't change without a restart" in router.logged(REFUSED)[0]["problem"]


def test_a_router_without_its_certificate_does_not_start(authority: Authority, tmp_path: Path) -> None:
    leaf = authority.sign(NAME).copied(tmp_path / "tls")
    leaf.key.unlink()
    file = tmp_path / "router.json"
    file.write_bytes(config.dump(router_config(tls=files(leaf))))
    command = [sys.executable, "-m", "routegen_router", "--config", str(file), "--listen", "127.0.0.1:0"]
    ended = subprocess.run([*command, "--metrics", ""], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert ended.stderr.strip() == f"routegen router: tls: {leaf.key} can't be read: No such file or directory"


def test_what_can_not_be_used_is_said_without_its_content(authority: Authority, tmp_path: Path) -> None:
    good, other = authority.sign(NAME).copied(tmp_path / "tls"), authority.sign("other")
    assert read(files(good)) == Pem(*(file.read_bytes() for file in good.files))
    for wrong, says in (
        (Leaf(good.cert, other.key, good.ca), "are no certificate with its key"),
        (Leaf(good.ca, good.key, good.ca), "are no certificate with its key"),
        (Leaf(good.cert, good.key, good.key), "holds no certificate of an authority"),
        (Leaf(good.cert, tmp_path, good.ca), "can't be read: Is a directory"),
    ):
        with pytest.raises(UnusableError, match=says) as raised:
            read(files(wrong))
        assert "PRIVATE" not in str(raised.value)
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "ec", "-in", str(good.key), "-aes128", "-passout", "pass:secret", "-out", str(locked)],
        check=True,
        capture_output=True,
    )
    with pytest.raises(UnusableError, match="are no certificate with its key"):
        read(files(Leaf(good.cert, locked, good.ca)))


async def test_a_client_that_says_nothing_holds_nobody_up(authority: Authority, tmp_path: Path) -> None:
    """Handshakes are not the event loop's business."""
    with running(tmp_path, router_config(tls=files(authority.sign(NAME)))) as router:
        wait_for(lambda: router.logged("ready"), "the router to be ready")
        host, port = router.address.rsplit(":", 1)
        with contextlib.ExitStack() as silent:
            for _ in range(64):
                silent.enter_context(socket.create_connection((host, int(port)), timeout=5))
            assert await serves(router, authority.pem, authority.sign("gateway"))
            assert await asyncio.to_thread(ready, router)
