"""Certificates for tests, made by openssl: authorities, and what they sign."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True)
class Leaf:
    """A certificate with its key and its authority: PEM files."""

    cert: Path
    key: Path
    ca: Path

    def copied(self, folder: Path) -> Leaf:
        """The same in other files, to be replaced there."""
        folder.mkdir(exist_ok=True)
        return Leaf(*(_copy(file, folder / name) for file, name in zip(self.files, _NAMES, strict=True)))

    def becomes(self, other: Leaf) -> None:
        """Replace the content of its files, each at once."""
        for old, new in zip(self.files, other.files, strict=True):
            _copy(new, old)

    @property
    def files(self) -> tuple[Path, Path, Path]:
        """Certificate, key, authority."""
        return self.cert, self.key, self.ca


_NAMES = ("tls.crt", "tls.key", "ca.crt")


class Authority:
    """Signs certificates; its files are in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder, self.cert, self._key = folder, folder / "authority.pem", folder / "authority.key"
        _openssl("req", "-x509", *_KEY, "-days", "2", "-subj", "/CN=test", "-keyout", self._key, "-out", self.cert)

    @property
    def pem(self) -> bytes:
        """Its own certificate."""
        return self.cert.read_bytes()

    def sign(self, name: str, *, days: int = 2, addresses: Sequence[str] = ()) -> Leaf:
        """A certificate for a DNS name and addresses, good for servers and clients alike.

        :param days: until it ends; negative: it has ended.
        """
        stem = self._folder / f"{name}.{days}"
        cert, key, request, extra = (stem.with_name(f"{stem.name}.{end}") for end in ("pem", "key", "csr", "ext"))
        names = ",".join([f"DNS:{name}", *(f"IP:{address}" for address in addresses)])
        extra.write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n")
        _openssl("req", *_KEY, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        signer = ("-CA", self.cert, "-CAkey", self._key, "-CAcreateserial")
        _openssl("x509", "-req", "-in", request, *signer, "-days", str(days), "-extfile", extra, "-out", cert)
        return Leaf(cert, key, self.cert)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def _copy(source: Path, target: Path) -> Path:
    scratch = target.with_name(f"{target.name}.new")
    scratch.write_bytes(source.read_bytes())
    return scratch.replace(target)
