"""`python -m core` is `tidegate`."""

from core.start import main

main()
