"""What a running router tells over HTTP."""

from __future__ import annotations

import urllib.error
import urllib.request

from support.router import PATIENCE, RouterProcess, wait_for


def get(router: RouterProcess, path: str, method: str = "GET") -> tuple[int, str]:
    """Status and body of one of its pages."""
    request = urllib.request.Request(f"http://{router.status}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def metrics(router: RouterProcess, decided: int = 0) -> dict[str, float]:
    """Every sample: name with labels -> value; once ``decided`` decisions are counted, which takes a moment."""
    counted = f"routegen_decision_seconds_count {decided}.0"
    wait_for(lambda: counted in get(router, "/metrics")[1], f"{decided} decisions to be counted")
    return samples(router)


def samples(router: RouterProcess) -> dict[str, float]:
    """The same, as they are now."""
    lines = [line for line in get(router, "/metrics")[1].splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}
