from __future__ import annotations

import ssl
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from simulator.ports.certificates import Authority


def test_the_issuer_of_the_authority_is_the_practice_market() -> None:
    issuer = x509.load_pem_x509_certificate(Authority().pem).issuer

    names = issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert [name.value for name in names] == ["tickerd practice market"]


def test_another_organization_is_another_issuer() -> None:
    impostor = Authority("Totally Honest Proxy")

    assert (
        _shake_hands(impostor, host="fc.yahoo.com", name="fc.yahoo.com")["organizationName"] == "Totally Honest Proxy"
    )


def test_a_client_that_trusts_the_authority_accepts_its_leaf_and_sees_the_issuer() -> None:
    authority = Authority()
    issuer = _shake_hands(authority, host="fc.yahoo.com", name="fc.yahoo.com")

    assert issuer["organizationName"] == "tickerd practice market"


def test_a_host_s_context_is_made_once() -> None:
    authority = Authority()

    assert authority.context("fc.yahoo.com") is authority.context("fc.yahoo.com")


def test_two_authorities_do_not_share_a_key() -> None:
    assert Authority().pem != Authority().pem


def _shake_hands(authority: Authority, *, host: str, name: str) -> dict[str, str]:
    trust = ssl.create_default_context(cadata=authority.pem.decode())
    trust.set_alpn_protocols(["h2", "http/1.1"])
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trust.wrap_bio(to_client, to_server, server_hostname=name)
    server = authority.context(host).wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert client.selected_alpn_protocol() == "http/1.1"
    certificate: Any = client.getpeercert()
    return {key: value for ((key, value),) in certificate["issuer"]}
