"""By weight, at random or always the same for the same value: ``split: {vllm: 99, sglang: 1}``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from routegen_router.choice import Group, rendezvous, shares, weighted
from routegen_router.request import Source
from routegen_router.standing import Decide, Name, Outcome, Pass, Standing

from .rule import Bearing, Key, Place, Rule, Verb

Weight = Annotated[float, Meta(ge=0, le=1_000_000)]


class Split(Rule, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="split"):
    """Choose a backend by weight.

    A name's weight is shared evenly by its backends among the candidates. With ``sticky_by`` the choice is weighted
    rendezvous hashing over that value.
    """

    weights: Annotated[
        tuple[tuple[Name, Weight], ...],
        Meta(min_length=1),
        Verb("split", "Name -> weight; weights are relative to each other."),
    ]
    sticky_by: Annotated[
        Source | tuple[Source, ...] | None,
        Key("The same value gets the same backend; of several places the first that has one. Without, it is random."),
    ] = None

    def choose(self, standing: Standing) -> Outcome:
        """Decide among the candidates that have a weight; pass where none has."""
        groups = self._groups(standing)
        if not groups:
            return Pass(lambda: "no candidate has a weight here")
        key, place = self._key(standing)
        weights = [(name, weight) for name, weight, _ in groups]
        bearers = {name: backends for name, _, backends in groups}
        if key:
            # In two steps, so that a backend which stops answering moves its own keys to others of its name only.
            name = rendezvous(key, weights)
            backend = rendezvous(f"{name}\0{key}", [(bearer, 1) for bearer in bearers[name]])
            return Decide(backend, lambda: f"by weight, sticky by {place}")
        draw = standing.draw
        name = weighted(draw(), weights)
        backend = bearers[name][int(draw() * len(bearers[name]))]
        return Decide(backend, lambda: "by weight", lambda: shares(groups))

    def problems(self, bearing: Bearing) -> Iterator[tuple[Place, str]]:
        """A backend whose share is counted twice, and no weight at all."""
        counted: dict[str, Name] = {}
        for name, _ in self.weights:
            for backend in bearing.get(name, ()):
                first = counted.setdefault(backend, name)
                if first != name:
                    yield ("split", name), f'the backend "{backend}" already has a share through "{first}"'
        if not any(weight for _, weight in self.weights):
            yield ("split",), "needs a weight above 0"

    def ends_chain(self, bearing: Bearing) -> bool:
        """Whether every backend has a weight: a split lets those pass that none of its backends can take."""
        shared = {backend for name, weight in self.weights if weight for backend in bearing.get(name, ())}
        return shared >= {backend for backends in bearing.values() for backend in backends}

    def _key(self, standing: Standing) -> tuple[str | None, Source | None]:
        """The value that the choice sticks to, and where it is.

        An empty one is no key: it would tie everybody who sends one to a single backend.
        """
        places = (self.sticky_by,) if isinstance(self.sticky_by, Source) else self.sticky_by or ()
        return next(((value, place) for place in places if (value := standing.facts.read(place))), (None, None))

    def _groups(self, standing: Standing) -> list[Group]:
        """(name, weight, its candidates that answer), or with those that don't where none does."""
        own = {name for name, _ in self.weights}  # who has a weight of its own gets none of its owner's
        for possible in (standing.alive(standing.candidates), standing.candidates):
            groups: list[Group] = []
            for name, weight in self.weights:
                bearers = [
                    bearer
                    for bearer in standing.bearing(name)
                    if bearer in possible and (bearer == name or bearer not in own)
                ]
                if bearers and weight > 0:
                    groups.append((name, weight, bearers))
            if groups:
                return groups
        return []
