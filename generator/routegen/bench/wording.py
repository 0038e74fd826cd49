"""Figures and verdicts as text for people; every report says them in the same words."""

from __future__ import annotations

from typing import Final

from .analysis import Analysis, Figure, Percentile
from .comparisons import Compared
from .design import Design, Load
from .metrics import BY_KEY, Metric
from .stats import MOST
from .verdict import Effect

_ENDLESS: Final = 10.0
"""A difference that is larger says only that nothing can be said; its digits would say otherwise."""


def amount(metric: Metric, value: float | None) -> str:
    """A metric's value with its unit, three digits: ``52.7 ms``, ``31.4/s``, ``1290 tok/s``, ``0.5 %``."""
    if value is None:
        return "-"
    match metric.unit:
        case "s":
            return f"{_digits(value)} s" if value >= 10 else f"{_digits(value * 1000)} ms"  # noqa: PLR2004 - ten seconds
        case "1/s":
            return f"{_digits(value)}/s"
        case "tokens/s":
            return f"{_digits(value)} tok/s"
        case "share":
            return f"{100 * value:.1f} %"


def typical(metric: Metric, figure: Figure) -> str:
    """A figure over all blocks, or what it would need."""
    return f"n too small: needs {figure.needs} requests a block" if figure.needs else amount(metric, figure.median)


def percentile(metric: Metric, found: Percentile) -> str:
    """A percentile, or what it would need."""
    return f"n too small: needs {found.needs}" if found.value is None else amount(metric, found.value)


def change(share: float | None) -> str:
    """A difference as a signed percentage."""
    if share is None:
        return "-"
    return f"{100 * share:+.1f} %" if share < _ENDLESS else f"> +{100 * _ENDLESS:.0f} %"


def reach(effect: Effect) -> str:
    """The interval of a difference."""
    return "-" if effect.low is None else f"{change(effect.low)} … {change(effect.high)}"


def outcome(compared: Compared, effect: Effect) -> str:
    """The verdict in a few words."""
    match effect.outcome:
        case "base better":
            return f"{compared.comparison.base} better"
        case "other better":
            return f"{compared.comparison.other} better"
        case "equivalent":
            return "equivalent"
        case "no verdict":
            return "no verdict"
        case "inconclusive":
            return f"inconclusive ({settling(effect)})" if settling(effect) else "inconclusive"


def settling(effect: Effect) -> str:
    """What it would take to have a verdict: a new run, for blocks that are added to this one decide nothing."""
    if effect.reason or effect.difference is None:
        return ""
    if effect.blocks_needed is None:
        return f"will not settle within {MOST} blocks"
    return f"might settle in a run of {effect.blocks_needed} blocks"


def outlook(analysis: Analysis, compared: Compared) -> str:
    """What a run of this size can tell, and what the declared margin would take."""
    found, design = compared.outlook, analysis.run.design
    if found is None:
        return ""
    whole = duration(found.seconds * design.blocks)
    told = f"{design.blocks} blocks ({whole}) tell equal arms apart from ±{100 * found.margin:.1f} %"
    if found.blocks <= design.blocks:
        return f"{compared.comparison.other} beside {compared.comparison.base}, with this load: {told}."
    needs = (
        f"about {found.blocks} blocks ({duration(found.seconds * found.blocks)})"
        if found.blocks <= MOST
        else "more than is reasonable"
    )
    return (
        f"{compared.comparison.other} beside {compared.comparison.base}, with this load: {told}; "
        f"±{100 * design.margin:g} % needs {needs}."
    )


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``."""
    return f"{max(seconds, 1):.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"  # noqa: PLR2004 - a minute and a half


def load(how: Load) -> str:
    """How requests arrived: ``8 at once``."""
    if how.concurrency is not None:
        return f"{how.concurrency} at once"
    return "as its trace says" if how.rate is None else f"{how.rate:g} requests/s, {how.kind}"


def work(design: Design) -> str:
    """What was asked: ``256 tokens in, 128 out``."""
    if design.workload is not None:
        own = design.workload
        turns = f" of up to {own.turns} turns" if own.turns > 1 else ""
        return (
            f"{own.conversations} prompts{turns} from {own.path}, {design.output_tokens} tokens out unless they say so"
        )
    shared = f"{design.shared_prefix} of them shared and " if design.shared_prefix else ""
    return f"{shared}{design.input_tokens} tokens in, {design.output_tokens} out"


def plain(analysis: Analysis, compared: Compared) -> str:
    """The answer to one comparison for somebody who reads only one sentence."""
    comparison, effect = compared.comparison, compared.primary
    base, other = comparison.base, comparison.other
    what = BY_KEY[effect.metric].title.lower()
    margin, differs = f"{100 * analysis.run.design.margin:g} %", effect.outcome.endswith("better")
    if effect.outcome == "no verdict":
        failed = ", ".join(dict.fromkeys(check.id for check in analysis.checks if check.level == "fail"))
        return f"No verdict on {other} beside {base}: a check failed ({failed}), so the figures can't be trusted."
    if effect.difference is None:
        return f"Too few blocks to compare {other} with {base}."
    match comparison.question:
        case "control" if differs:
            return f"The control differs from {base}, which it repeats: not only the engines are measured here."
        case "control":
            return f"{base} agrees with itself within {100 * (effect.floor or 0):.1f} %: that is the noise."
    if effect.outcome == "inconclusive":
        return f"No verdict: {effect.reason}." if effect.reason else f"No verdict on {other} beside {base} yet."
    match comparison.question, differs:
        case "engines", False:
            return f"{base} and {other} are equivalent: in {what} they differ by less than {margin}."
        case "engines", True:
            better, worse = (base, other) if effect.outcome == "base better" else (other, base)
            but = " But they answer differently from the first words on." if _strangers(analysis, compared) else ""
            return f"{better} is better than {worse}. {_longer(effect)} with {other}.{but}"
        case "overhead", _:
            cause = f"The gateway in front of {other}"
        case _:
            cause = f"Loading the other engines beside {base}"
    size = f"by {change(effect.difference)}" if differs else f"by less than {margin}"
    return f"{cause} changes {what} {size}."


def _strangers(analysis: Analysis, compared: Compared) -> bool:
    return (compared.comparison.base, compared.comparison.other) in analysis.strangers


def _longer(effect: Effect) -> str:
    """``End to end: 10.9 % longer``."""
    metric, share = BY_KEY[effect.metric], effect.difference or 0.0
    more, less = ("longer", "shorter") if metric.unit == "s" else ("more", "less")
    return f"{metric.title}: {100 * abs(share):.1f} % {more if share > 0 else less}"


def headline(analysis: Analysis, compared: Compared) -> str:
    """The answer to one comparison with its figures."""
    comparison, effect, design = compared.comparison, compared.primary, analysis.run.design
    metric = BY_KEY[effect.metric]
    if effect.difference is None:
        return f"{comparison.other} / {comparison.base}: {len(effect.pairs)} blocks are too few to say anything."
    figures = (
        f"{metric.title.lower()} {change(effect.difference)} ({design.confidence:.0%} interval {reach(effect)}, "
        f"{len(effect.pairs)} blocks; noise floor {100 * (effect.floor or 0):.1f} %, "
        f"{'measured by the control' if effect.floor_from == 'control' else 'estimated'})"
    )
    if effect.outcome == "no verdict":
        return f"No verdict, a check failed: {comparison.other} beside {comparison.base}, {figures}."
    match comparison.question:
        case "overhead":
            return f"Through the gateway, {comparison.other} beside {comparison.base}: {figures}."
        case "interference":
            return f"With the others loaded at once, {comparison.other} beside {comparison.base}: {figures}."
        case "control":
            return f"A/A control, {comparison.other} beside {comparison.base}: {figures}."
        case "engines":
            more = f" {effect.reason[0].upper()}{effect.reason[1:]}." if effect.reason else ""
            if effect.outcome == "inconclusive" and not effect.reason:
                more = f" It {settling(effect)}."
            but = " Their answers differ from the first words on." if _strangers(analysis, compared) else ""
            return f"{outcome(compared, effect)}: {comparison.other} beside {comparison.base}, {figures}.{more}{but}"


def _digits(value: float) -> str:
    """Three significant digits, no exponent."""
    if value == 0:
        return "0"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}"  # noqa: PLR2004 - three digits
