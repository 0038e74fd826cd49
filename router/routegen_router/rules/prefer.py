"""By preference: ``prefer: [sglang]``."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from routegen_router.standing import Name, Narrow, Outcome, Pass, Standing

from .rule import Rule, Verb


class Prefer(Rule, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="prefer"):
    """Keep the backends that bear these names if one of them can take the request, else pass."""

    names: Annotated[tuple[Name, ...], Meta(min_length=1), Verb("prefer", "Names: backends or owners.")]

    def choose(self, standing: Standing) -> Outcome:
        """Narrow to the preferred candidates that answer."""
        wanted = {name for group in self.names for name in standing.bearing(group)}
        left = tuple([name for name in standing.candidates if name in wanted and name in standing.view.alive])
        if not left:
            return Pass(lambda: f"none of {', '.join(self.names)} is a candidate that answers")
        return Narrow(left, lambda: f"prefers {', '.join(self.names)}")

    def title(self) -> str:
        """``prefer:sglang,vllm``."""
        return f"prefer:{','.join(self.names)}"
