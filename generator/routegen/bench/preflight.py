"""Before the first request: whether every address answers, and which model they have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

import aiohttp
import msgspec

from routegen.common.problems import UserError
from routegen_router.fetch import KINDS, no_connection

from . import credentials
from .design import Arm

_TIMEOUT = aiohttp.ClientTimeout(total=10)


class _Backend(msgspec.Struct):
    name: str


class _Model(msgspec.Struct):
    id: str
    max_model_len: int | None = None
    backends: list[_Backend] | None = None
    """What the router's list says of the backends that serve it; engines' own lists don't."""

    def served_by(self, backend: str | None) -> bool:
        return self.backends is None or backend is None or any(found.name == backend for found in self.backends)


class _Models(msgspec.Struct):
    data: list[_Model]


_decode_models: Final = msgspec.json.Decoder(_Models).decode


def find_models(arms: Sequence[Arm], wanted: str | None, common: str | None = None) -> dict[str, str]:
    """Arm -> the model to measure: its own, else ``wanted``, else the only one that every other arm's engine serves.

    :param common: the variable with the API key of all arms, in place of their own.
    :raises UserError: an address doesn't answer or wants a key, an engine doesn't serve what it is to, or the choice
        is not clear.
    """
    served = asyncio.run(_ask(arms, {arm.name: credentials.to_list(arm, common) for arm in arms}))
    chosen = {arm.name: arm.model or wanted or "" for arm in arms}
    own = {arm.name: arm.engine_names.values() for arm in arms}
    for name, model in chosen.items():
        if model and served[name] and model not in served[name] and model not in own[name]:
            raise UserError(f'{name} does not serve the model "{model}"; it serves: {", ".join(served[name])}')
    if open_ := [name for name, model in chosen.items() if not model]:
        common = _common({name: served[name] for name in open_})
        chosen |= dict.fromkeys(open_, common)
    return {arm.name: _directly(arm, chosen[arm.name]) for arm in arms}


def _directly(arm: Arm, model: str) -> str:
    """What the arm's requests name: an engine that is asked directly knows nothing of its models' names for clients."""
    return arm.engine_names.get(model, model) if arm.via == "direct" else model


def _for_clients(arm: Arm, listed: Sequence[str]) -> list[str]:
    """The models that an arm can be asked for, as the gateway's clients call them."""
    if arm.via != "direct":
        return [*listed]
    renamed = {*arm.engine_names.values()}
    named = (name for name, engines in arm.engine_names.items() if engines in listed)
    return [*named, *(model for model in listed if model not in renamed)]


def _common(served: Mapping[str, Sequence[str]]) -> str:
    """The one model that all of them serve."""
    common = [model for model in next(iter(served.values())) if all(model in models for models in served.values())]
    if len(common) == 1:
        return common[0]
    listed = "; ".join(f"{name}: {', '.join(models) or 'none listed'}" for name, models in served.items())
    each = " or, where engines name it differently, --model NAME=MODEL for each" if not common else ""
    raise UserError(f"say which model to measure: --model MODEL{each} ({listed})")


def find_max_lengths(arms: Sequence[Arm], common: str | None = None) -> dict[str, int]:
    """Arm -> the longest sequence that its engine takes for the arm's model; without engines that don't tell.

    vLLM and SGLang list it with their models, as ``max_model_len``.
    """
    return asyncio.run(_ask_lengths(arms, {arm.name: _at_hand(arm, common) for arm in arms}))


def _at_hand(arm: Arm, common: str | None) -> dict[str, str]:
    try:
        return credentials.to_engine(arm, common)
    except UserError:  # the router may have it elsewhere; whether it is needed here was asked before
        return {}


async def _ask_lengths(arms: Sequence[Arm], headers: Mapping[str, Mapping[str, str]]) -> dict[str, int]:
    known = [(arm, arm.engine_url) for arm in arms if arm.engine_url is not None]
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as http:
        answers = await asyncio.gather(
            *(_models(http, arm.name, url, headers[arm.name]) for arm, url in known),
            return_exceptions=True,  # an engine that only the gateway reaches tells nothing here
        )
    return {
        arm.name: model.max_model_len
        for (arm, _), answer in zip(known, answers, strict=True)
        if not isinstance(answer, BaseException)
        for model in answer
        if model.id == arm.engine_names.get(arm.model, arm.model) and model.max_model_len is not None
    }


async def _ask(arms: Sequence[Arm], headers: Mapping[str, Mapping[str, str]]) -> dict[str, Sequence[str]]:
    """Arm -> models."""
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as http:
        answers = await asyncio.gather(*(_models(http, arm.name, arm.url, headers[arm.name]) for arm in arms))
    return {
        arm.name: _for_clients(arm, [model.id for model in models if model.served_by(arm.inference_server)])
        for arm, models in zip(arms, answers, strict=True)
    }


async def _models(http: aiohttp.ClientSession, name: str, address: str, headers: Mapping[str, str]) -> Sequence[_Model]:
    """What ``GET /v1/models`` lists; nothing where it isn't served."""
    url = address.rstrip("/") + "/v1/models"
    try:
        async with http.get(url, headers=headers, allow_redirects=False) as response:
            if response.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
                raise UserError(
                    f"{name} at {address} wants an API key, or another one (HTTP {response.status}): name the "
                    "environment variable that holds it with --api-key-env VARIABLE, its file with --api-key-file "
                    "NAME=FILE, or say under `apiKey:` of the routes.yaml where it lies (`env:` or `file:`)"
                )
            if response.status != HTTPStatus.OK:
                return ()
            return _decode_models(await response.read()).data
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise UserError(f"{name} does not answer at {address} ({_why(error)}); is it running?") from error
    except msgspec.MsgspecError as error:
        raise UserError(f"{name}: {url} is not a list of models: {error}") from error


def _why(error: Exception) -> str:
    """In the words in which the router tells of its engines, not by the name of a Python class."""
    if isinstance(error, TimeoutError):
        return KINDS["timeout"]
    if isinstance(error, aiohttp.ClientConnectorError):
        return KINDS[no_connection(error.os_error).kind]
    return str(error) or type(error).__name__
