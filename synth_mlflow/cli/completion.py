"""Shell completion: verbs and options by click, batches and generators by what is there."""

from __future__ import annotations

import click

from synth_mlflow.cli import output
from synth_mlflow.cli.options import Shared, shared

COMMAND = "synth-mlflow"
SHELLS = {
    "bash": ("~/.bashrc", f'eval "$({COMMAND} completion bash)"'),
    "zsh": ("~/.zshrc", f'eval "$({COMMAND} completion zsh)"'),
    "fish": ("~/.config/fish/config.fish", f"{COMMAND} completion fish | source"),
}


def batches(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The batches on the tracking server whose id begins like this."""
    from synth_mlflow.tracking.batch_ids import batch_ids

    return [name for name in batch_ids(ctx.params.get("tracking_uri")) if name.startswith(incomplete)]


def generators(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The installed generators whose name begins like this."""
    from synth_mlflow.plugins import installed

    return [name for name in installed("generators") if name.startswith(incomplete)]


@click.command()
@click.argument("shell", type=click.Choice(list(SHELLS)))
@shared
@click.pass_context
def completion(ctx: click.Context, given: Shared, shell: str) -> None:
    """Print what makes SHELL complete verbs, options, batches and generators."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None  # click ships all three
    script = found(ctx.find_root().command, {}, COMMAND, "_SYNTH_MLFLOW_COMPLETE").source()
    file, line = SHELLS[shell]
    if given.as_json:
        return output.as_json({"shell": shell, "script": script, "file": file, "line": line})
    output.line(script)
    return output.line(f"# to keep it, put this line into {file}:  {line}")
