"""Whom TLS trusts: the makers of certificates that this system trusts, for every connection that Tidegate makes."""

import functools
import ssl
import sys
from pathlib import Path

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/ssl/ca-bundle.pem",
)
"""Where Debian, Alpine, Arch, Fedora and SUSE keep them, for a Python whose OpenSSL was made on another system."""


@functools.cache
def context() -> ssl.SSLContext:
    """The one context of this process, made when TLS is first spoken (50 ms)."""
    if sys.platform != "linux":
        import truststore  # noqa: PLC0415 - only where TLS is spoken

        made: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        # Not truststore: here it reads all roots again for each connection, on the event loop.
        made = ssl.create_default_context(cafile=_bundle())
    made.set_alpn_protocols(["http/1.1"])
    return made


def unused() -> ssl.SSLContext:
    """For a client that never speaks TLS, to a Tidegate on this machine: httpx by itself would make a whole one."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _bundle() -> str | None:
    """The bundle to read; None where OpenSSL knows the place, which environment variables may name."""
    known = ssl.get_default_verify_paths()
    if known.cafile or (known.capath and any(Path(known.capath).glob("*.[0-9]"))):
        return None
    return next((bundle for bundle in BUNDLES if Path(bundle).is_file()), None)
