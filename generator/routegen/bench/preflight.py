"""Before the first request: whether every address answers, and which model they have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import aiohttp
import msgspec

from routegen.problems import UserError

_TIMEOUT = aiohttp.ClientTimeout(total=10)


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


def find_model(urls: Mapping[str, str], wanted: str | None, key: str | None = None) -> str:
    """The model to measure: ``wanted``, else the only one that every address serves.

    :param urls: arm -> address.
    :raises UserError: an address doesn't answer or doesn't serve ``wanted``, or the choice is not clear.
    """
    served = asyncio.run(_ask(urls, {"authorization": f"Bearer {key}"} if key else {}))
    if wanted is not None:
        for name, models in served.items():
            if models and wanted not in models:
                raise UserError(f'{name} does not serve the model "{wanted}"; it serves: {", ".join(models)}')
        return wanted
    common = [model for model in next(iter(served.values())) if all(model in models for models in served.values())]
    if len(common) != 1:
        listed = "; ".join(f"{name}: {', '.join(models) or 'none listed'}" for name, models in served.items())
        raise UserError(f"say which model to measure: --model MODEL ({listed})")
    return common[0]


async def _ask(urls: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, Sequence[str]]:
    async with aiohttp.ClientSession(timeout=_TIMEOUT, headers=headers) as http:
        answers = await asyncio.gather(*(_models(http, name, url) for name, url in urls.items()))
    return dict(zip(urls, answers, strict=True))


async def _models(http: aiohttp.ClientSession, name: str, url: str) -> Sequence[str]:
    """The ids that ``GET /v1/models`` lists; none where it isn't served."""
    try:
        async with http.get(url.rstrip("/") + "/v1/models") as response:
            if response.status != 200:  # noqa: PLR2004 - OK
                return ()
            return [model.id for model in msgspec.json.decode(await response.read(), type=_Models).data]
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise UserError(f"{name} does not answer at {url} ({type(error).__name__}); is it running?") from error
    except msgspec.MsgspecError as error:
        raise UserError(f"{name}: {url}/v1/models is not a list of models: {error}") from error
