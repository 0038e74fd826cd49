"""Sampled figures as text: their names end in their unit, such as ``memory_bytes``."""

from __future__ import annotations

from typing import Final

_UNITS: Final = {
    "bytes": "",
    "cores": "cores",
    "percent": "%",
    "watts": "W",
    "celsius": "°C",
    "megahertz": "MHz",
    "per_second": "per second",
}
_WORDS: Final = {"cpu": "CPU", "gpu": "GPU", "kv": "KV"}
_SIZES: Final = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def title(figure: str) -> str:
    """``cpu_cores`` -> ``CPU (cores)``."""
    unit = _unit(figure)
    words = " ".join(_WORDS.get(word, word) for word in figure.removesuffix(f"_{unit}").split("_"))
    shown = _UNITS.get(unit, "")
    return f"{words[:1].upper()}{words[1:]}{f' ({shown})' if shown else ''}"


def amount(figure: str, value: float) -> str:
    """A value in its unit; bytes as MB or GB, which are round where axes are."""
    match _unit(figure):
        case "bytes":
            size, name = next(((size, name) for size, name in _SIZES if value >= size), (1.0, "B"))
            return f"{value / size:.3g} {name}"
        case "percent":
            return f"{value:.0f} %"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"  # noqa: PLR2004 - no exponents


def _unit(figure: str) -> str:
    return next((unit for unit in _UNITS if figure.endswith(f"_{unit}")), "")
