import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import trust
from tests.hostile.certificates import Maker

linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems are asked through truststore")


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    trust.context.cache_clear()
    yield
    trust.context.cache_clear()


def shakes_hands(server: ssl.SSLContext) -> bool:
    """Whether a client of ours accepts this server, without any socket."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trust.context().wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    peer = server.wrap_bio(to_server, to_client, server_side=True)
    done = set[ssl.SSLObject]()
    for _ in range(10):
        for side in (client, peer):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
    assert done == {client, peer}
    return True


@pytest.fixture
def maker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
    """The only one that the system trusts."""
    made = Maker.made(tmp_path / "maker")
    monkeypatch.setenv("SSL_CERT_FILE", str(made.bundle))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    return made


def test_a_certificate_and_the_name_in_it_are_always_checked() -> None:
    assert trust.context().verify_mode is ssl.CERT_REQUIRED
    assert trust.context().check_hostname


@linux
def test_who_the_system_trusts_is_trusted_and_nobody_else(maker: Maker, tmp_path: Path) -> None:
    assert shakes_hands(maker.server())
    assert not shakes_hands(Maker.made(tmp_path / "other").server())
    assert not shakes_hands(maker.server("127.0.0.2"))


@linux
def test_the_roots_are_read_once_and_not_for_each_connection(maker: Maker) -> None:
    server = maker.server()
    assert shakes_hands(server)
    maker.bundle.unlink()
    assert shakes_hands(server)


@linux
def test_where_openssl_knows_no_roots_the_systems_bundle_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = Maker.made(tmp_path / "maker")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    monkeypatch.setattr(trust, "BUNDLES", (str(tmp_path / "none.pem"), str(maker.bundle)))
    assert shakes_hands(maker.server())
