"""Asking the Envoy on this machine, where there is one, whether it accepts what is about to be written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from routegen.common.problems import UserError
from routegen.common.text import to_yaml
from routegen.envoy import binary as envoy_binary


def check(bootstrap: Mapping[str, Any]) -> tuple[str, ...]:
    """Let Envoy validate a static bootstrap.

    Certificates often exist only where Envoy will run. Envoy refuses a configuration whose files are missing, so
    TLS settings that name such files are left out of the check.

    :returns: sentences about what wasn't checked.
    :raises UserError: Envoy refuses it; with Envoy's own words.
    """
    binary = envoy_binary.find()
    if binary is None:
        return (f"the configuration was not checked: Envoy is not on this machine; {envoy_binary.HOW_TO_GET}",)
    missing: list[str] = []
    refusal = envoy_binary.reason_to_refuse(binary, to_yaml([_without_missing_files(bootstrap, missing)]))
    if refusal is not None:
        raise UserError(f"Envoy ({binary}) refuses the configuration: {refusal}")
    if not missing:
        return ()
    return (f"TLS settings were not checked: not on this machine: {', '.join(dict.fromkeys(missing))}",)


def _without_missing_files(value: Any, missing: list[str]) -> Any:
    """Copy ``value`` without the transport sockets that name files which aren't here; their names go to ``missing``."""
    if isinstance(value, list):
        return [_without_missing_files(item, missing) for item in value]
    if not isinstance(value, Mapping):
        return value
    copy = {}
    for key, item in value.items():
        absent = [name for name in _filenames(item) if not Path(name).exists()] if key == "transport_socket" else []
        if absent:
            missing += absent
        else:
            copy[key] = _without_missing_files(item, missing)
    return copy


def _filenames(value: Any) -> list[str]:
    """All values of keys ``filename`` in ``value``."""
    if isinstance(value, list):
        return [name for item in value for name in _filenames(item)]
    if not isinstance(value, Mapping):
        return []
    found = [str(value["filename"])] if "filename" in value else []
    return found + [name for item in value.values() for name in _filenames(item)]
