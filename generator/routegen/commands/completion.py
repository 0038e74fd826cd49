"""``routegen completion``: what a shell needs to complete verbs and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    Examples:
      eval "$(routegen completion bash)"                # in ~/.bashrc
      eval "$(routegen completion zsh)"                 # in ~/.zshrc
      routegen completion fish > ~/.config/fish/completions/routegen.fish
    """
    from routegen.cli import cli  # noqa: PLC0415 - the command line imports its verbs, not the reverse

    script = get_completion_class(shell)
    assert script is not None  # the choices above are click's own
    click.echo(script(cli, {}, "routegen", "_ROUTEGEN_COMPLETE").source())
