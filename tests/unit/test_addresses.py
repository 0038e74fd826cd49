"""Where each worker listens."""

from __future__ import annotations

import pytest

from routegen_router.addresses import StartError, of_worker


@pytest.mark.parametrize(
    ("address", "index", "expected"),
    [
        ("127.0.0.1:50051", 0, "127.0.0.1:50051"),
        ("127.0.0.1:50051", 3, "127.0.0.1:50054"),
        ("[::]:50051", 1, "[::]:50052"),
        ("router.test:65534", 1, "router.test:65535"),
        ("127.0.0.1:0", 2, "127.0.0.1:0"),
        ("unix:/run/router.sock", 0, "unix:/run/router.sock"),
        ("unix:/run/router.sock", 2, "unix:/run/router.sock.2"),
    ],
)
def test_the_first_is_where_it_was_said_and_the_others_are_behind_it(address: str, index: int, expected: str) -> None:
    assert of_worker(address, index) == expected


@pytest.mark.parametrize(("address", "index"), [("127.0.0.1:65535", 1), ("nonsense", 0), ("9002", 1)])
def test_what_is_no_address_is_said(address: str, index: int) -> None:
    with pytest.raises(StartError, match=address):
        of_worker(address, index)
