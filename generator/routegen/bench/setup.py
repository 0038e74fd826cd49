"""From the command's options to a run folder that is ready to be measured."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from secrets import randbelow
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from routegen.common.words import choices
from routegen_router.backend import Key

from . import records
from .analysis import analyse
from .arms import Way, from_plan, from_urls
from .conduct import new_run
from .credentials import to_arm
from .design import Arm, Design, Finding, Load, Slo, Workload
from .layout import Layout, lay_out
from .looks import LEAST_BLOCKS, reached, spaced
from .metrics import BY_KEY, COMPARED, STEADY, TAILS, steady_needs
from .preflight import find_max_lengths, find_models
from .stats import FEWEST
from .values import UsageError
from .values import sampling as read_sampling
from .values import slo as read_slo
from .workload import read as read_workload

CONFIDENCE: Final = 0.96
"""Not 0.95: a reserve, so that one run in twenty is the most that is wrong where an assumption holds only nearly."""
CONCURRENCY: Final = 8
BLOCKS: Final = 40
MAX_BLOCKS: Final = 400
ROUNDS: Final = 2
"""Requests a worker sends in a block: short blocks, and many, lose least to a machine that drifts."""
LEAST_REQUESTS: Final = 16
WARMUP_BLOCKS: Final = 4
"""The warm-up is as long as so many blocks of the default size: an engine that is still warming up while it is measured
looks slower than it is."""


def start(options: Mapping[str, Any], audit: tuple[Finding, ...] | None = None) -> Path:
    """Make the folder of a new run.

    :param options: as :mod:`routegen.commands.bench` names them.
    :param audit: what the engines' manifests were found to lack; ``None``: none were given.
    :raises UsageError: the options contradict each other.
    :raises UserError: an engine doesn't answer, or nothing can be compared.
    """
    design, arms = check(options)
    layout = asked(arms, design, options)
    folder = folder_of(options)
    records.create(folder, new_run(design, layout, options["api_key_env"], audit))
    return folder


def asked(arms: Sequence[Arm], design: Design, options: Mapping[str, Any]) -> Layout:
    """The run's layout, its arms with what the engines say of themselves: models and lengths.

    :raises UserError: an engine doesn't answer, or nothing can be compared.
    """
    common = options["api_key_env"]
    models = find_models(arms, _models(options["models"])[0], common)
    arms = [msgspec.structs.replace(arm, model=models[arm.name]) for arm in arms]
    for arm in arms:
        to_arm(arm, common)  # can be read, or says why not, before there is a folder
    lengths = find_max_lengths(arms, common)
    arms = [msgspec.structs.replace(arm, max_length=lengths.get(arm.name)) for arm in arms]
    return lay_out(arms, mode=options["mode"], control=options["control"], cache=design.cache)


def folder_of(options: Mapping[str, Any]) -> Path:
    """Where the run's records go: as asked, or by the date."""
    return Path(options["output_dir"] or f"bench-{datetime.now().astimezone():%Y-%m-%d-%H%M%S}")


def check(options: Mapping[str, Any]) -> tuple[Design, list[Arm]]:
    """The design, and the arms, most of them without their model: all that can be said before the engines are asked.

    :raises UsageError: the options contradict each other.
    :raises UserError: nothing can be compared.
    """
    design = design_of(options)
    arms = _arms(options, _urls(options), _models(options["models"])[1])
    lay_out(arms, mode=options["mode"], control=options["control"], cache=design.cache)
    return design, arms


def routes_file(options: Mapping[str, Any]) -> str | None:
    """The routes.yaml to read; ``None`` where the engines' own addresses are all that is needed.

    :raises UsageError: neither a file nor an address is named, and there is no routes.yaml here.
    """
    if options["source"] is None and options["urls"] and not options["gateway"]:
        return None
    if options["source"] is None and not Path("routes.yaml").exists():
        raise UsageError("name the engines: --url NAME=URL, twice or more, or the backends of a routes.yaml: -f FILE")
    return str(options["source"] or "routes.yaml")


def resume(folder: Path, options: Mapping[str, Any]) -> Path:
    """Prepare a run to be continued: to more blocks, or until it is decided, where its result is still open.

    :raises UsageError: fewer blocks are asked for than are measured, or its verdict has been given.
    """
    recorded = records.read(folder)
    design, done = recorded.run.design, recorded.done
    asked = _blocks(options) if options["blocks"] or options["until_decided"] else None
    if asked is None:
        if design.looks and reached(design, done) and analyse(recorded).decided:
            raise UsageError(f"{folder} is decided; measure a new run")
        return folder
    blocks, looks = asked
    if blocks < len(done):
        raise UsageError(f"{len(done)} blocks are measured already; --blocks {blocks} would drop some")
    if look := reached(design, done):
        raise UsageError(
            f"the verdict of {folder} has been given, on {look.blocks} blocks; blocks added after looking find a "
            "difference in the end where there is none. Measure a new run, of more --blocks or --until-decided"
        )
    design = msgspec.structs.replace(design, blocks=blocks, looks=looks)
    records.rewrite(folder, msgspec.structs.replace(recorded.run, design=design))
    return folder


def _blocks(options: Mapping[str, Any]) -> tuple[int, tuple[int, ...]]:
    """How many blocks at most, and the looks on the way."""
    if not options["until_decided"]:
        if options["max_blocks"] is not None:
            raise UsageError("--max-blocks goes with --until-decided")
        return options["blocks"] or (FEWEST if options["plan"] else BLOCKS), ()
    if options["blocks"] is not None or options["plan"]:
        raise UsageError("--until-decided looks after numbers of blocks of its own; --max-blocks says where it ends")
    most = options["max_blocks"] or MAX_BLOCKS
    if most < LEAST_BLOCKS:
        raise UsageError(f"--max-blocks {most}: a verdict needs {LEAST_BLOCKS}")
    return most, spaced(most)


def design_of(options: Mapping[str, Any], confidence: float = CONFIDENCE) -> Design:
    """The design that the options describe.

    :raises UsageError: they contradict each other.
    """
    primary = options["primary"] or ("tpot" if options["stop_at_eos"] else "e2e")
    known = (*COMPARED, *(metric.key for metric in TAILS))
    if primary not in known:
        raise UsageError(f'--primary: unknown metric "{primary}"; {choices(primary, known)}')
    for name in ("ramp", "rate", "timeout"):
        if not math.isfinite(options[name] or 0):
            raise UsageError(f"--{name} {options[name]} is no number of its own")
    blocks, looks = _blocks(options)
    seed = randbelow(2**31) if options["seed"] is None else options["seed"]
    own = read_workload(options["prompts"])[0] if options["prompts"] is not None else None
    load = _load(options, own)
    needs = BY_KEY[primary].needs
    requests = options["requests"] or max(LEAST_REQUESTS, ROUNDS * (load.concurrency or 0), needs)
    if requests < needs:
        raise UsageError(f"--primary {primary} needs --requests {needs}: fewer in a block say nothing about that tail")
    slo = read_slo(options["slo"])
    if primary == "goodput" and slo == Slo():
        raise UsageError("--primary goodput needs a limit: --slo ttft=0.2")
    if primary == "steady_token_rate" and requests < steady_needs(load):
        raise UsageError(f"--primary {primary} needs --requests {steady_needs(load)}: {STEADY} for each one at once")
    warmup = options["warmup"] or WARMUP_BLOCKS * max(ROUNDS * (load.concurrency or 0), LEAST_REQUESTS)
    if load.concurrency is not None and warmup < load.concurrency:
        raise UsageError(f"--warmup {warmup} can't warm up {load.concurrency} requests at once")
    if own is not None:
        _check_workload(options, own, load, blocks * requests + warmup)
    return Design(
        seed=seed,
        blocks=blocks,
        requests=requests,
        load=load,
        warmup=max(warmup, requests) if options["cache"] == "warm" else warmup,
        path="/v1/completions" if options["completions"] else "/v1/chat/completions",
        input_tokens=options["input_tokens"],
        output_tokens=options["output_tokens"],
        cache=options["cache"],
        ignore_eos=not options["stop_at_eos"],
        sampling={"temperature": 0, "seed": seed, **read_sampling(options["sampling"])},
        timeout=options["timeout"],
        primary=primary,
        margin=options["margin"],
        confidence=confidence,
        slo=slo,
        workload=own,
        shared_prefix=options["shared_prefix"] or 0,
        probes=options["probes"],
        looks=looks,
    )


def _load(options: Mapping[str, Any], own: Workload | None) -> Load:
    if options["arrivals"] == "trace":
        if own is None or not own.timed:
            raise UsageError('--arrivals trace needs --prompts FILE in which every line has "at", in seconds')
        if options["rate"] is not None or options["concurrency"] is not None or options["ramp"]:
            raise UsageError("--arrivals trace excludes --rate, --concurrency and --ramp: the file says when")
        return Load(kind="trace")
    if options["rate"] is None:
        concurrency = options["concurrency"] or CONCURRENCY
        if options["requests"] is not None and options["requests"] < concurrency:
            raise UsageError(f"--requests {options['requests']} a block can't keep {concurrency} in flight")
        return Load(kind="closed", concurrency=concurrency, ramp=options["ramp"])
    if options["concurrency"] is not None or options["ramp"]:
        raise UsageError("--rate (open loop) excludes --concurrency and --ramp (closed loop)")
    return Load(kind=options["arrivals"], rate=options["rate"])


def _check_workload(options: Mapping[str, Any], own: Workload, load: Load, wanted: int) -> None:
    if options["shared_prefix"]:
        raise UsageError("--shared-prefix is for made-up prompts; a file of prompts has its own beginnings")
    if options["completions"] and own.chat:
        raise UsageError("--completions takes texts: a line with messages or conversations is a chat")
    if own.turns > 1 and load.concurrency is None:
        raise UsageError("conversations of several turns need a closed loop: --concurrency, not --rate or a trace")
    once = "--cache as-is" if options["cache"] == "as-is" else "--arrivals trace" if load.kind == "trace" else None
    if once and own.conversations < wanted:
        raise UsageError(
            f"{once} needs {wanted} prompts, each sent once; {own.path} has {own.conversations}: ask for fewer "
            "--blocks or --requests"
        )


def _urls(options: Mapping[str, Any]) -> dict[str, str]:
    urls = dict(options["urls"])
    if twice := [name for name, count in Counter(name for name, _ in options["urls"]).items() if count > 1]:
        raise UsageError(f'--url names "{twice[0]}" twice; give each engine a name of its own')
    gateway = {"--gateway": options["gateway"]} if options["gateway"] else {}
    for name, url in (urls | gateway).items():
        parts = urlsplit(url)
        if "@" in url or "?" in url:
            raise UsageError(f"{name}: an address with a password or a query would be recorded; use --api-key-env")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UsageError(f'{name}: "{url}" is not an address such as http://127.0.0.1:8001')
        if parts.path.rstrip("/").endswith("/v1"):
            raise UsageError(f"{name}: leave /v1 out of the address: {url.rstrip('/').removesuffix('/v1')}")
    return urls


def _models(values: Sequence[str]) -> tuple[str | None, dict[str, str]]:
    """The model of all engines, and those of single ones (``NAME=MODEL``)."""
    own = dict(value.split("=", 1) for value in values if "=" in value)
    common = [value for value in values if "=" not in value]
    if len(common) > 1:
        raise UsageError(f"--model names {common[0]} and {common[1]}; one engine's own model is --model NAME=MODEL")
    return next(iter(common), None), own


def _arms(options: Mapping[str, Any], urls: Mapping[str, str], models: Mapping[str, str]) -> list[Arm]:
    source = routes_file(options)
    keys = {name: Key(file=file) for name, file in options["api_key_file"]}
    if source is None:
        if options["engines"]:
            raise UsageError("--engine names backends of a routes.yaml: add -f routes.yaml")
        if options["way"] not in {None, "direct"}:
            raise UsageError(f"--way {options['way']} needs a gateway: add -f routes.yaml --gateway URL")
        for option, named in (("--model", models), ("--api-key-file", keys)):
            if unknown := [name for name in named if name not in urls]:
                raise UsageError(f'{option}: no engine is called "{unknown[0]}"; {choices(unknown[0], urls)}')
        return from_urls(urls, models=models, keys=keys)
    from routegen.pipeline import read_plan  # noqa: PLC0415 - only where a routes.yaml is read

    way: Way = options["way"] or ("gateway" if options["gateway"] else "direct")
    plan = read_plan(source, deployed=False)
    return from_plan(plan, options["engines"], way=way, gateway=options["gateway"], urls=urls, models=models, keys=keys)
