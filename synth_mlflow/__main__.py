"""`python -m synth_mlflow` and the `synth-mlflow` command."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from synth_mlflow.cli.main import run

    run()


if __name__ == "__main__":
    main()
