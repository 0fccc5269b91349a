"""`python -m patchseek` is the `patchseek` command."""

from .cli import main

main()
