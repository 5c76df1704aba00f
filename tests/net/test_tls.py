import os
import ssl
from pathlib import Path

import certifi
import pytest
import trustme

from core.errors import FixByHand, RetryLater
from net.tls import build_trust, is_practice


def roots(context: ssl.SSLContext) -> set[bytes]:
    return set(context.get_ca_certs(binary_form=True))


def test_without_a_ca_of_ones_own_the_default_roots_are_trusted_and_nothing_is_written(tmp_path: Path) -> None:
    trust = build_trust(ca_file="", state_dir=tmp_path)
    assert trust.ca_path == Path(certifi.where())
    assert roots(trust.context) == roots(ssl.create_default_context(cafile=certifi.where()))
    assert os.listdir(tmp_path) == []


def test_the_bundle_holds_the_default_roots_and_the_one_ca(tmp_path: Path, practice_authority: trustme.CA) -> None:
    pem = practice_authority.cert_pem.bytes()
    (tmp_path / "ca.pem").write_bytes("# Prüfstelle\n".encode() + pem)
    trust = build_trust(ca_file=str(tmp_path / "ca.pem"), state_dir=tmp_path)
    one = ssl.PEM_cert_to_DER_cert(pem.decode())
    assert roots(trust.context) == roots(ssl.create_default_context(cafile=certifi.where())) | {one}
    assert roots(ssl.create_default_context(cafile=str(trust.ca_path))) == roots(trust.context)
    assert trust.ca_path.parent == tmp_path


def test_a_bundle_that_has_not_changed_is_not_written_again(tmp_path: Path, practice_authority: trustme.CA) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(practice_authority.cert_pem.bytes())
    bundle = build_trust(ca_file=str(ca), state_dir=tmp_path).ca_path
    before = bundle.stat()
    build_trust(ca_file=str(ca), state_dir=tmp_path)
    assert (bundle.stat().st_ino, bundle.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    ca.write_bytes(trustme.CA(organization_name="Another").cert_pem.bytes())
    trust = build_trust(ca_file=str(ca), state_dir=tmp_path)
    assert roots(ssl.create_default_context(cafile=str(bundle))) == roots(trust.context)
    assert ssl.PEM_cert_to_DER_cert(ca.read_text()) in roots(trust.context)


def test_a_bundle_that_cannot_be_written_is_named(tmp_path: Path, practice_authority: trustme.CA) -> None:
    (tmp_path / "ca.pem").write_bytes(practice_authority.cert_pem.bytes())
    with pytest.raises(RetryLater, match=r"gone/ca-bundle\.pem: cannot be written \(No such file or directory\)"):
        build_trust(ca_file=str(tmp_path / "ca.pem"), state_dir=tmp_path / "gone")


def test_certificates_and_host_names_are_always_checked(tmp_path: Path) -> None:
    context = build_trust(ca_file="", state_dir=tmp_path).context
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"not a certificate",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "-----BEGIN CERTIFICATE-----\nÄ".encode(),
    ],
)
def test_a_file_without_a_certificate_ends_with_78_and_leaves_no_bundle(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(content)
    with pytest.raises(FixByHand) as caught:
        build_trust(ca_file=str(file), state_dir=tmp_path)
    assert str(caught.value) == f"{file}: network.ca_file: holds no PEM certificate; give a CA in PEM form"
    assert caught.value.exit_code == 78
    assert os.listdir(tmp_path) == ["ca.pem"]


def test_a_ca_file_that_is_absent_is_named_with_its_setting(tmp_path: Path) -> None:
    with pytest.raises(FixByHand, match=r"ca\.pem: network\.ca_file: cannot be read"):
        build_trust(ca_file=str(tmp_path / "ca.pem"), state_dir=tmp_path)


def issued_by(organization: str) -> dict[str, object]:
    """Return a certificate in the form of `SSLSocket.getpeercert()`."""
    subject = ((("organizationName", "tickerd practice market"),), (("commonName", "fc.yahoo.com"),))
    return {"subject": subject, "issuer": ((("organizationName", organization),), (("commonName", "CA"),))}


def test_only_the_issuer_makes_a_certificate_one_of_the_practice_market() -> None:
    assert is_practice(issued_by("tickerd practice market"))
    assert not is_practice(issued_by("DigiCert Inc"))
    assert not is_practice(issued_by("not tickerd practice market"))


@pytest.mark.parametrize("certificate", [None, {}, {"issuer": ()}, b"der"])
def test_what_names_no_issuer_is_not_of_the_practice_market(certificate: object) -> None:
    assert not is_practice(certificate)
