"""`python -m core.cli` is `tidegate`."""

from core.cli import main

main(prog_name="tidegate")
