"""The command line: a table of verbs, each loaded when it is used, so that ``--help`` answers at once."""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

import click

from routegen import __version__
from routegen.common.problems import INTERRUPTED, InputError, UserError, sentences
from routegen.common.streams import leave_unread
from routegen.common.words import did_you_mean

VERBS: Final[Mapping[str, str]] = {
    "init": "Write a commented routes.yaml to start from.",
    "discover": "Write a commented routes.yaml from what a cluster holds.",
    "validate": "Check a routes.yaml and say everything that is wrong with it.",
    "render": "Print the gateway's documents for kubectl or Envoy.",
    "explain": "Show which backend a request would go to, and why.",
    "test": "Check that requests go where a file of cases says.",
    "lint": "Say what in a routes.yaml is almost surely not meant.",
    "diff": "Show which requests a change of routes.yaml leads elsewhere.",
    "status": "Say whether what a routes.yaml renders is live in the cluster.",
    "schema": "Print the JSON Schema of routes.yaml, for editors.",
    "plugins": "List the rules that routes.yaml may use, and where each comes from.",
    "up": "Run Envoy and the router on this machine, now.",
    "router": "Run just the router.",
    "bench": "Compare engines so that the answer can be trusted.",
    "audit": "Say what makes a comparison of engines unfair.",
    "completion": "Print the completion script for bash, zsh or fish.",
}
"""Verb -> its line in ``routegen --help``; the module ``routegen.commands.<verb>`` has the rest."""


WAYS: Final[Mapping[str | None, str]] = {
    "source": "A routes.yaml is given with -f",
    "body": "A request's body is given with --body",
}
"""Parameter -> how to give what is often written without its option."""


@contextlib.contextmanager
def _ended_from_outside() -> Iterator[None]:
    """End well where the reader of our output goes, which has all that it wanted, and at Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("\nroutegen: interrupted", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        if not leave_unread():
            raise
        raise click.exceptions.Exit(0) from None


class _Verbs(click.Group):
    """Loads a verb's module when that verb is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in VERBS:
            return None
        command = importlib.import_module(f"routegen.commands.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            hint = did_you_mean(args[0], VERBS).strip()
            raise click.UsageError(f"{error.message} {hint[:1].upper()}{hint[1:]}".strip(), ctx) from error

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        with _ended_from_outside():
            return super().make_context(*args, **more)  # prints --help and --version

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _ended_from_outside():
                return super().invoke(ctx)
        except click.UsageError as error:
            if error.ctx is None or "unexpected extra argument" not in error.message:
                raise
            ways = [WAYS[param.name] for param in error.ctx.command.params if param.name in WAYS]
            raise click.UsageError(". ".join([error.message, *ways]), error.ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="routegen")
def cli() -> None:
    """Route OpenAI requests to the inference engine that their body names.

    \b
    Start here:
      routegen init                       # writes routes.yaml
      routegen up --mock-engines          # Envoy, the router and two mock engines, on this machine
      routegen render | kubectl apply -f -
    """


def main() -> None:
    """Run the command line; a problem with the input is a sentence on stderr and exit code 1, misuse is 2."""
    _open_closed_streams()
    _say_everything()
    try:
        cli(prog_name="routegen")
    except (InputError, UserError) as error:
        click.echo(sentences(error), err=True)
        sys.exit(1)
    except OSError as error:  # what can't be read or opened has its own sentence: this is output, to a full disk say
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still buffered would fail once more at the very end
        where = error.filename or "standard output"
        why = " is closed" if error.errno == errno.EBADF else f": {error.strerror or error}"
        click.echo(f"routegen: {where}{why}", err=True)
        sys.exit(1)


def _open_closed_streams() -> None:
    """Open standard streams that the caller has closed (``<&-``), so that no file takes their number.

    Input is empty, errors go nowhere. Output can't be written, so that who prints fails instead of losing it.
    """
    for name, mode, flags in (("stdin", "r", os.O_RDONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY)):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, flags)
            setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - open to the end


def _say_everything() -> None:
    """Documents are the same bytes in every locale; a terminal that lacks a character shows a question mark."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            if stream.isatty():
                stream.reconfigure(errors="replace")
            else:
                stream.reconfigure(encoding="utf-8")
