"""A reader of bodies with every kind of field: routing ones, nested ones, and ones that only conditions read."""

from __future__ import annotations

from routegen_router.body import BodyReader
from routegen_router.config import reads
from routegen_router.request import Source
from routegen_router.rules import Lookup, Split
from routegen_router.when import Condition

ENGINE = ("inference_server",)
NESTED = ("metadata", "engine")
DEEPER = ("metadata", "a", "b")
STREAM = ("stream",)


READS = reads(
    [
        Lookup(name="engine", source=Source(body=ENGINE)),
        Lookup(name="nested", source=Source(body=NESTED)),
        Lookup(
            name="when",
            source=Source(header="x-a"),
            when=(
                Condition(pattern="true", source=Source(body=STREAM)),
                Condition(pattern="x", source=Source(body=DEEPER)),
            ),
        ),
        Split(name="split", weights=(("a", 1),), sticky_by=Source(body=("user",))),
    ]
)
READER = BodyReader(READS)
