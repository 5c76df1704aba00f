"""The practice market's own certificate authority, made at start. Its keys never leave memory."""

from __future__ import annotations

import ssl

import trustme

ORGANIZATION = "tickerd practice market"
"""The issuer's organizationName on every leaf: by it a client knows practice data."""


class Authority:
    """Makes one server context a host name and keeps it."""

    def __init__(self, organization: str = ORGANIZATION) -> None:
        self._organization = organization
        self._ca = trustme.CA(organization_name=organization)
        self._contexts: dict[str, ssl.SSLContext] = {}

    @property
    def pem(self) -> bytes:
        return self._ca.cert_pem.bytes()

    def context(self, host: str) -> ssl.SSLContext:
        """Return the context that proves to be `host`; HTTP/1.1 only."""
        if host not in self._contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.set_alpn_protocols(["http/1.1"])
            self._ca.issue_cert(host, organization_name=self._organization).configure_cert(context)
            self._contexts[host] = context
        return self._contexts[host]
