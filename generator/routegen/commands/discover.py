"""``routegen discover``: a commented routes.yaml from what a cluster holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from routegen.commands import options
from routegen.common.problems import InputError, UserError

if TYPE_CHECKING:
    from routegen.discover.candidates import Candidates
    from routegen.discover.things import Found

_DEFAULT_LABEL = "owned_by"


@click.command("discover")
@click.option("-n", "--namespace", metavar="NAME", help="Only this namespace; default: all of them.")
@click.option("-l", "--selector", metavar="LABELS", help="Only objects with these labels, such as app=vllm.")
@click.option("--context", metavar="NAME", help="The kubeconfig's context; default: its current one.")
@click.option("--kubeconfig", metavar="FILE", help="The kubeconfig; default: where kubectl looks for it.")
@click.option(
    "--owner-label",
    metavar="KEY",
    default=_DEFAULT_LABEL,
    show_default=True,
    help="The label that names owners; llm-d's engine-type is known beside it.",
)
@click.option("--ask-engines", is_flag=True, help="Where no label names an owner, ask a ready pod for its models.")
@click.option("--target", metavar="NAME", help="The gateway that the file is for; default: envoy-gateway, or envoy.")
@click.option("--name", metavar="NAME", default="routes", show_default=True, help="metadata.name of the file.")
@options.print_rbac
def command(
    namespace: str | None,
    selector: str | None,
    context: str | None,
    kubeconfig: str | None,
    owner_label: str,
    ask_engines: bool,
    target: str | None,
    name: str,
    print_rbac: bool,
) -> None:
    """Write a commented routes.yaml from what a cluster holds: LLMInferenceServices, InferencePools, engines' Services.

    It reads and changes nothing. Each line says where it came from. The owner is the first of: the label owned_by (or
    --owner-label) or llm-d's engine-type on the object, the same on its pods, and with --ask-engines what a ready pod
    says of its models. Without --selector a Service counts as an engine's where one of those labels is there.

    \b
    Examples:
      routegen discover > routes.yaml
      routegen discover -n inference --name qwen-compare > routes.yaml && routegen validate
      routegen discover -n inference -l app.kubernetes.io/part-of=models --ask-engines
      routegen discover --print-rbac | kubectl apply -f -
    """
    from routegen.discover.reading import rights  # noqa: PLC0415 - not for `--help`

    if print_rbac:
        from routegen.common.rbac import rbac  # noqa: PLC0415

        click.echo(rbac("discover", rights(namespace), [namespace] if ask_engines else []), nl=False)
        return
    from routegen.cluster import Cluster  # noqa: PLC0415
    from routegen.discover.asking import owners_told  # noqa: PLC0415
    from routegen.discover.candidates import candidates  # noqa: PLC0415
    from routegen.discover.reading import read  # noqa: PLC0415

    cluster = Cluster(context, kubeconfig)
    found = read(cluster, namespace, selector)
    for sentence in found.unread:
        _say(f"not read: {sentence}; `routegen discover --print-rbac` prints the rights that it needs")

    chosen = candidates(
        found,
        owner_label,
        (lambda pod, port, scheme: owners_told(cluster, pod, port, scheme, lambda why: _say(f"not asked: {why}")))
        if ask_engines
        else None,
    )
    if chosen.problems:
        raise UserError("\nroutegen: ".join(chosen.problems))
    if not chosen.taken:
        raise UserError(_nothing(found, namespace, selector, owner_label))
    where = "all namespaces" if namespace is None else f"namespace {namespace}"
    click.echo(
        _file(found, chosen, target, name, namespace, f"{where} of context {context}" if context else where), nl=False
    )


def _file(found: Found, chosen: Candidates, target: str | None, name: str, namespace: str | None, source: str) -> str:
    """The file's text, which is valid.

    :raises UserError: what was found can't stand in one file.
    """
    from routegen import targets  # noqa: PLC0415
    from routegen.compile import compile_text  # noqa: PLC0415
    from routegen.discover.text import Wishes, routes_yaml  # noqa: PLC0415
    from routegen.discover.things import POOL  # noqa: PLC0415

    pools = any(one.thing.kind == POOL for one in chosen.taken)
    if target is not None and target not in targets.known():
        raise UserError(f'--target: no target is called "{target}"; known: {", ".join(targets.known())}')
    used = target or ("envoy" if pools else "envoy-gateway")
    why = "" if target else "envoy-gateway, the default, can't ask a pool's endpoint picker"
    text = routes_yaml(found, chosen, Wishes(name, namespace, used, targets.find(used).capabilities, why, source))
    try:
        compile_text(text, "routes.yaml")
    except InputError as error:
        told = "\n".join(f"  {problem.path} {problem.message}" for problem in error.problems)
        raise UserError(f"what was found can't stand in one routes.yaml as it is:\n{told}") from error
    return text


def _nothing(found: Found, namespace: str | None, selector: str | None, label: str) -> str:
    """Why there is nothing to write, and what to do."""
    where = "this cluster" if namespace is None else f"namespace {namespace}"
    absent = (
        f" It doesn't know the kinds {', '.join(found.absent)} (their CRDs are not installed)." if found.absent else ""
    )
    if selector is not None:
        return f"found nothing in {where} with the labels {selector}.{absent}"
    return (
        f"found no engine in {where}: no LLMInferenceService, no InferencePool, and no Service that has, or whose pods"
        f" have, the label {label} or llm-d.ai/engine-type.{absent} Name your engines' Services by their labels, such"
        " as --selector app=vllm"
    )


def _say(sentence: str) -> None:
    click.echo(f"routegen: {sentence}", err=True)
