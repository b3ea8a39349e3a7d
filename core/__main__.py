"""`python -m core` is `tidegate`."""

from core.cli import main

main(prog_name="tidegate")
