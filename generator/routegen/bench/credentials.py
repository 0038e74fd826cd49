"""Which API key goes with which requests: the one of the command line for all, or each engine's own.

Only where a key lies is recorded. It is read when it is needed, in the process that sends it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from routegen.common.problems import UserError
from routegen_router import keys
from routegen_router.backend import Key

from .design import Arm


def to_engine(arm: Arm, common: str | None, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The headers of a request to the arm's engine itself.

    :param common: the variable with the key of all arms, which takes the place of their own.
    :raises UserError: a key can't be read.
    """
    key = Key(env=common) if common is not None else arm.key
    if key is None:
        return {}
    try:
        return {"authorization": keys.bearer(keys.read(key, environment))}
    except keys.KeyUnreadableError as error:
        raise UserError(f"the API key of {arm.name}: {error}") from None


def to_arm(arm: Arm, common: str | None, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The headers of a request to the arm's address, which may be the gateway's.

    Where the router puts the engine's key on requests (``send``) the gateway isn't shown it; else every client has to
    bring it, and so does the bench.

    :raises UserError: a key can't be read.
    """
    if common is None and arm.via == "gateway" and arm.key is not None and arm.key.send:
        return {}
    return to_engine(arm, common, environment)


def to_list(arm: Arm, common: str | None) -> dict[str, str]:
    """The headers of the question which models the arm's address has: the gateway answers that by itself.

    :raises UserError: a key can't be read.
    """
    return {} if common is None and arm.via == "gateway" else to_engine(arm, common)
