"""``routegen bench``: compare engines so that the answer can be trusted."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec
from click.core import ParameterSource

from routegen.commands import bench_job, bench_run, bench_sweep, complete, options
from routegen.commands.bench_values import Assignments, Share, Steps, VariableName, Watched
from routegen.common.problems import UserError
from routegen.distribution import ROUTEGEN_IMAGE, how_to_install, unpublished

if TYPE_CHECKING:
    from routegen.bench.design import Finding

_WITH_RESUME: Final = frozenset({"resume", "blocks", "until_decided", "max_blocks", "pods", "context", "fail_if_worse"})


_manifests = click.option(
    "--manifests",
    multiple=True,
    metavar="PATH",
    help="The engines' manifests (file, directory), to be audited; repeat.",
)


@click.group("bench", invoke_without_command=True)
@click.option(
    *("-f", "--file", "source"),
    multiple=True,
    callback=options.once,
    metavar="FILE",
    help="The routes.yaml whose backends are compared.",
)
@click.option(
    "--engine",
    "engines",
    multiple=True,
    metavar="NAME",
    shell_complete=complete.backends,
    help="A backend of it; repeat. Default: all.",
)
@click.option("--gateway", metavar="URL", help="The gateway's address; engines are picked by inference_server.")
@click.option("--way", type=click.Choice(["gateway", "direct", "both"]), help="Default: gateway where one is named.")
@click.option("--url", "urls", type=Assignments(), multiple=True, help="An engine's own address; repeat.")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="[NAME=]MODEL",
    help="For all, or for the engine NAME; repeat. Default: the one that all of them serve.",
)
@click.option(
    "--api-key-file",
    type=Assignments(),
    multiple=True,
    metavar="NAME=FILE",
    help="A file with the API key of the engine NAME; repeat. Default: as apiKey of the routes.yaml says.",
)
@click.option("--api-key-env", type=VariableName(), help="The environment variable that holds the API key.")
@click.option("--mode", type=click.Choice(["solo", "together", "interference"]), default="solo", show_default=True)
@click.option("--control", is_flag=True, help="Measure the first engine against itself too: the noise floor.")
@click.option("--concurrency", type=click.IntRange(1), help="Closed loop: requests in flight. Default: 8.")
@click.option("--ramp", type=click.FloatRange(0), default=0.0, help="Seconds over which its first requests are spread.")
@click.option("--sweep", type=Steps(), help="Several loads, one after the other: concurrency=1,4,16 or rate=0.5,1,2.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Open loop: requests a second.")
@click.option("--arrivals", type=click.Choice(["poisson", "constant", "trace"]), default="poisson", show_default=True)
@click.option("--blocks", type=click.IntRange(1), help="Default: 40; a verdict needs 20.")
@click.option("--plan", is_flag=True, help="Measure six blocks and say what a run can tell; --resume goes on.")
@click.option("--until-decided", is_flag=True, help="Look on the way, and end when it is decided.")
@click.option("--max-blocks", type=click.IntRange(1), help="With --until-decided: where it ends. Default: 400.")
@click.option(
    "--requests", type=click.IntRange(1), help="Per engine and block. Default: twice the concurrency, 16 at least."
)
@click.option(
    "--warmup", type=click.IntRange(1), help="Requests per engine. Default: 8 for each one at once, 64 at least."
)
@click.option("--input-tokens", type=click.IntRange(1), default=256, show_default=True)
@click.option("--shared-prefix", type=click.IntRange(1), help="Tokens that stand before every prompt, the same in all.")
@click.option(
    "--prompts", type=click.Path(path_type=Path), metavar="FILE", help="Prompts of your own: JSON lines, ShareGPT."
)
@click.option("--output-tokens", type=click.IntRange(1), default=128, show_default=True)
@click.option("--cache", type=click.Choice(["cold", "warm", "as-is"]), default="cold", show_default=True)
@click.option(
    "--probes", type=click.IntRange(0), default=8, show_default=True, help="Prompts to compare the engines' answers by."
)
@click.option("--completions", is_flag=True, help="Use /v1/completions, not /v1/chat/completions.")
@click.option("--stop-at-eos", is_flag=True, help="Let answers end by themselves; compare per token then.")
@click.option(
    "--sampling", type=Assignments(), multiple=True, help="Such as top_p=0.9; JSON is sent as it is. temperature is 0."
)
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=300, show_default=True, help="Seconds.")
@click.option(
    "--primary",
    metavar="METRIC",
    shell_complete=complete.metrics,
    help="What the verdict is about. Default: e2e, or tpot with --stop-at-eos.",
)
@click.option("--margin", type=Share(), default="3%", show_default=True, help="Differences inside don't matter.")
@click.option("--slo", type=Assignments(), multiple=True, help="Limit in seconds for goodput: ttft=0.2, tpot, e2e.")
@click.option("--seed", type=int, help="Of order, prompts and arrivals. Default: drawn, and recorded.")
@click.option("--output-dir", type=click.Path(path_type=Path), metavar="RUN", help="The run folder. Default: by date.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="RUN", help="Go on with a run (--blocks: to more).")
@_manifests
@click.option(
    "--pods",
    type=Watched(),
    multiple=True,
    help="Sample its pods, such as inference/app=vllm, and the nodes; repeat.",
)
@click.option("--context", metavar="NAME", help="With --pods: the kubeconfig context.")
@click.option("--fail-if-worse", is_flag=True, help="Exit with 4 where an engine is worse than the first.")
@click.option("--render-job", is_flag=True, help="Print a Job that does this inside the cluster; measure nothing.")
@click.option("--image", metavar="IMAGE", help=f"The Job's image. Default: {ROUTEGEN_IMAGE}.")
@click.option("-n", "--namespace", metavar="NAME", help="Where the Job runs. Default: the routes' own, or default.")
@click.option("--claim", metavar="NAME", help="The Job's PersistentVolumeClaim, which keeps the run folder.")
@click.option("--api-key-secret", metavar="NAME", help="The Job's Secret with the key --api-key-env's variable.")
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Compare engines so that the answer can be trusted.

    Engines take turns, block by block, on the same prompts, in an order that cancels drift; the verdict is better,
    equivalent or inconclusive.

    Exit codes: 0 measured, 1 something stood in the way, 2 wrong usage, 3 a check failed, so the figures can't be
    trusted, 4 an engine is worse (with --fail-if-worse), 130 Ctrl-C, and what was complete is reported.

    \b
    Examples:
      routegen bench --url vllm=http://127.0.0.1:8001 --url sglang=http://127.0.0.1:8002
      routegen bench -f routes.yaml --gateway http://127.0.0.1:8080 --way both --control
      routegen bench --url a=http://127.0.0.1:8001 --url b=http://127.0.0.1:8002 --until-decided
      routegen bench --resume bench-2026-01-02 --blocks 40
      routegen bench --url a=http://127.0.0.1:8001 --url b=http://127.0.0.1:8002 --sweep concurrency=1,4,16,64
      routegen bench report bench-2026-01-02
      routegen bench -f routes.yaml --gateway http://GATEWAY --pods inference --render-job | kubectl apply -f -
    """
    if ctx.invoked_subcommand is not None:
        return
    if options["render_job"]:
        click.echo(bench_job.render(ctx, options), nl=False)
        if notice := unpublished(options["image"] or ROUTEGEN_IMAGE, "--image", "docs/bench.md"):
            click.echo(f"routegen: {notice}", err=True)
        return
    if misplaced := [name for name in bench_job.OPTIONS if options[name]]:
        raise click.UsageError(f"--{misplaced[0].replace('_', '-')} goes with --render-job")
    _require_extra()
    from routegen.bench import setup, sweep, sweep_setup  # noqa: PLC0415 - not for `--help`
    from routegen.bench.resources import sources  # noqa: PLC0415
    from routegen.bench.values import UsageError  # noqa: PLC0415

    pods = sources.cluster(options["pods"], options["context"])
    try:
        if options["resume"] is not None:
            _only_what_resumes(ctx)
            resume = sweep_setup.resume if sweep.is_sweep(options["resume"]) else setup.resume
            folder = resume(options["resume"], options)
        else:
            start = sweep_setup.start if options["sweep"] else setup.start
            folder = start(options, _audit(options["manifests"]) if options["manifests"] else None)
    except UsageError as error:
        raise click.UsageError(str(error)) from error
    click.echo(f"run folder: {folder}", err=True)
    measure = bench_sweep.measure if sweep.is_sweep(folder) else bench_run.measure
    sys.exit(measure(folder, pods, fail_if_worse=options["fail_if_worse"]))


@command.command("report", short_help="Report a run folder again, as text, JSON or a page.")
@click.argument("run", type=click.Path(path_type=Path))
@options.output("text", "json", "html")
@_manifests
@click.option("--fail-if-worse", is_flag=True, help="Exit with 4 where an engine is worse than the first.")
def report(run: Path, form: str, manifests: tuple[str, ...], fail_if_worse: bool) -> None:
    """Report a run folder again: as text, as JSON for programs, or as one HTML page that needs nothing else.

    \b
    Examples:
      routegen bench report bench-2026-01-02
      routegen bench report bench-2026-01-02 -o html > report.html
      routegen bench report bench-2026-01-02 -o json | jq -r '.answers[].plain'
    """
    _require_extra()
    from routegen.bench import records, sweep  # noqa: PLC0415 - not for `--help`
    from routegen.bench.report import as_html, as_json, as_text, model  # noqa: PLC0415

    if sweep.is_sweep(run):
        if manifests:
            raise click.UsageError(f"--manifests: {run} is a sweep; report its steps, {run / 'step-1'} and so on")
        sys.exit(bench_sweep.report(run, form, fail_if_worse=fail_if_worse))
    recorded = records.read(run)
    if manifests:
        recorded = replace(recorded, run=msgspec.structs.replace(recorded.run, audit=_audit(manifests)))
    found = model.build(recorded)
    if form == "text":
        as_text.show(found)
    else:
        click.echo({"json": as_json.render, "html": as_html.render}[form](found), nl=False)
    sys.exit(bench_run.exit_code(found, complete=True, fail_if_worse=fail_if_worse))


def _only_what_resumes(ctx: click.Context) -> None:
    """Refuse what a run that goes on can't heed."""
    for param in ctx.command.params:
        name = param.name or ""
        if name not in _WITH_RESUME and ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = max(param.opts, key=len)
            raise click.UsageError(f"{option} does not go with --resume: the run's design is fixed, but for its size")


def _audit(paths: tuple[str, ...]) -> tuple[Finding, ...]:
    """What the audit finds in the engines' manifests."""
    from routegen.audit.reading import read_manifests  # noqa: PLC0415 - only where manifests are given
    from routegen.audit.report import audit  # noqa: PLC0415
    from routegen.bench.design import Finding  # noqa: PLC0415

    return tuple(
        Finding(
            rule=finding.rule.id,
            severity=finding.severity.word,
            message=finding.message,
            place=str(finding.place),
            cannot_tell=finding.unknown,
        )
        for finding in audit(read_manifests(paths)).findings
    )


def _require_extra() -> None:
    try:
        import aiohttp  # noqa: F401, PLC0415 - whether it is there
        import rich  # noqa: F401, PLC0415 - whether it is there
    except ImportError as error:
        raise UserError(f"`routegen bench` needs {error.name}; {how_to_install('bench')}") from error
