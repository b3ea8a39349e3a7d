"""How many connections and files this process may have open at once."""

import contextlib

OWN = 256
"""For files, the database, listeners and what libraries open."""


def allow(connections: int) -> None:
    """Have room for so many clients and a connection to a provider for each, as far as the system lets us.

    Desktops start programs with 1,024; what a person's agents need then fails in the middle of a stream.
    """
    with contextlib.suppress(ImportError, OSError, ValueError):  # Windows has no such limit, others cap it lower
        import resource  # noqa: PLC0415

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 2 * connections + OWN
        if soft != resource.RLIM_INFINITY and soft < wanted:
            most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
