"""TLS contexts: which authorities they trust, and that one is built for equal settings."""

from __future__ import annotations

import os
import ssl
import sys
import threading
import warnings
from pathlib import Path

import certifi
import pytest

import httpx_fast
from httpx_fast import _trust, create_ssl_context
from httpx_fast._trust import shared_ssl_context, trusted_store
from httpx_fast.testing import Certificate


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE", "HTTPX_FAST_TRUST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(_trust, "_shared", {})


@pytest.fixture
def bundle(tmp_path):
    """Return a file with one authority."""
    file = tmp_path / "authority.pem"
    file.write_text(Certificate().pem)
    return str(file)


@pytest.fixture
def issued(authority):
    """The files of a certificate and its key."""
    certificate, key = authority.issue("config.example")
    return str(certificate), str(key)


def names_in(path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(path)
    return context.cert_store_stats()["x509_ca"]


def test_default_context_trusts_certifi_and_checks_names():
    context = create_ssl_context()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.cert_store_stats()["x509_ca"] == names_in(certifi.where()) > 50
    assert context.verify_flags == ssl.create_default_context().verify_flags


def test_context_that_verifies_nothing():
    context = create_ssl_context(verify=False)
    assert context.verify_mode == ssl.CERT_NONE
    assert not context.check_hostname


def test_context_of_the_system(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(_trust, "_SYSTEM_BUNDLES", (certifi.where(),))
    nowhere = ssl.DefaultVerifyPaths(None, None, "", str(tmp_path / "none.pem"), "", str(tmp_path / "none"))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    assert create_ssl_context("system").cert_store_stats()["x509_ca"] == names_in(certifi.where())
    monkeypatch.setattr(_trust, "_SYSTEM_BUNDLES", ())
    with pytest.raises(FileNotFoundError, match=r"verify='system': no authorities at .*none\.pem.*; install them"):
        create_ssl_context("system")


def test_windows_store_is_read_without_truststore(monkeypatch):
    loaded = []
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda context: loaded.append(context))
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "truststore", None)
    assert [create_ssl_context("system")] == loaded


def test_keychain_of_macos_needs_truststore(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setitem(sys.modules, "truststore", None)
    message = r"verify='system' needs the package truststore on macOS: pip install 'httpx-fast\[system\]'"
    with pytest.raises(httpx_fast.TrustStoreError, match=message):
        create_ssl_context("system")


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_system_checks_certificates_where_only_it_knows_its_store(platform, monkeypatch, bundle):
    truststore = pytest.importorskip("truststore")
    monkeypatch.setattr(sys, "platform", platform)
    context = create_ssl_context("system")
    assert isinstance(context, truststore.SSLContext)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert trusted_store("system") == "the operating system's store"
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    assert not isinstance(create_ssl_context("system"), truststore.SSLContext)
    assert create_ssl_context("system").cert_store_stats()["x509_ca"] == 1


def test_environment_chooses_the_store_of_the_process(monkeypatch, bundle):
    certifis = shared_ssl_context(True, None, True)
    monkeypatch.setattr(_trust, "_system_bundle", lambda: bundle)
    assert shared_ssl_context(True, None, True) is certifis
    monkeypatch.setenv("HTTPX_FAST_TRUST", "system")
    assert shared_ssl_context(True, None, True).cert_store_stats()["x509_ca"] == 1
    assert create_ssl_context().cert_store_stats()["x509_ca"] == 1
    # Who does not trust the environment, and who names a store, is not concerned.
    assert shared_ssl_context(True, None, False).cert_store_stats()["x509_ca"] > 50
    assert shared_ssl_context(certifi.where(), None, True).cert_store_stats()["x509_ca"] > 50
    assert create_ssl_context(False).verify_mode is ssl.CERT_NONE
    for value in ("certifi", ""):
        monkeypatch.setenv("HTTPX_FAST_TRUST", value)
        assert create_ssl_context().cert_store_stats()["x509_ca"] > 50


@pytest.mark.parametrize("build", [create_ssl_context, lambda: shared_ssl_context(True, None, True), httpx_fast.Client])
def test_unknown_store_in_the_environment_is_refused(build, monkeypatch):
    monkeypatch.setenv("HTTPX_FAST_TRUST", "macos")
    with pytest.raises(
        httpx_fast.TrustStoreError, match=r"^HTTPX_FAST_TRUST says 'macos': expected 'system' or 'certifi'$"
    ):
        build()


def test_trusted_store_is_named(monkeypatch, bundle, tmp_path):
    assert trusted_store() == f"certifi's bundle, {certifi.where()}"
    assert trusted_store(False) == "anybody: certificates are not checked"
    assert trusted_store(str(tmp_path)) == f"the path given as verify, {tmp_path}"
    assert trusted_store(ssl.create_default_context()) == "the SSLContext that was given"
    monkeypatch.setattr(_trust, "_system_bundle", lambda: "/etc/bundle.pem")
    assert trusted_store("system") == "the operating system's store, /etc/bundle.pem"
    monkeypatch.setenv("HTTPX_FAST_TRUST", "system")
    assert trusted_store() == "the operating system's store, /etc/bundle.pem"
    assert trusted_store(True, False) == f"certifi's bundle, {certifi.where()}"
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    assert trusted_store() == trusted_store("system") == f"SSL_CERT_FILE={bundle}"


def test_context_of_the_user_is_returned_as_it_is():
    context = ssl.create_default_context()
    assert create_ssl_context(context) is context
    assert shared_ssl_context(context, None, True) is context


@pytest.mark.parametrize("build", [create_ssl_context, lambda *given: shared_ssl_context(*given, True)])
def test_certificate_never_goes_into_the_users_context(build, issued):
    with pytest.raises(TypeError, match=r"cert=\.\.\. cannot go into the context given as verify=\.\.\."):
        build(ssl.create_default_context(), issued)


@pytest.mark.parametrize("verify", [None, 1, b"path", object()])
@pytest.mark.parametrize("build", [create_ssl_context, lambda verify: shared_ssl_context(verify, None, True)])
def test_verify_of_the_wrong_type_is_refused(build, verify):
    with pytest.raises(TypeError, match=r"expected True, False, 'system' or an ssl\.SSLContext as verify, got"):
        build(verify)


def test_path_as_verify_is_deprecated(authority, issued):
    with pytest.warns(DeprecationWarning, match="verify=<path> is deprecated") as caught:
        context = create_ssl_context(str(authority.path))
    assert caught[0].filename == __file__
    assert context.cert_store_stats()["x509"] == names_count(authority.path)


def names_count(path):
    return path.read_text().count("BEGIN CERTIFICATE")


def test_folder_as_verify(tmp_path):
    with pytest.warns(DeprecationWarning, match="verify=<path> is deprecated"):
        context = create_ssl_context(str(tmp_path))
    assert context.cert_store_stats()["x509"] == 0  # a folder is looked into when a certificate is checked


def test_client_certificate_is_deprecated(issued):
    for cert in (issued, (*issued, "")):
        with pytest.warns(DeprecationWarning, match=r"cert=\.\.\. is deprecated"):
            assert isinstance(create_ssl_context(cert=cert), ssl.SSLContext)


def test_client_certificate_and_key_in_one_file(issued, tmp_path):
    both = tmp_path / "both.pem"
    both.write_text("".join(Path(path).read_text() for path in issued))
    with pytest.warns(DeprecationWarning, match=r"cert=\.\.\. is deprecated"):
        assert isinstance(create_ssl_context(cert=str(both)), ssl.SSLContext)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("build", [create_ssl_context, lambda *given: shared_ssl_context(*given, True)])
def test_missing_file_is_named(build, issued, tmp_path):
    missing = str(tmp_path / "missing.pem")
    with pytest.raises(FileNotFoundError, match=r"verify says '.*missing\.pem': there is no such file or directory"):
        build(missing, None)
    for cert in (missing, (missing, issued[1]), (issued[0], missing)):
        with pytest.raises(FileNotFoundError, match=r"cert says '.*missing\.pem'"):
            build(False, cert)


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_missing_authorities_of_the_environment_are_named(monkeypatch, tmp_path, name):
    monkeypatch.setenv(name, str(tmp_path / "missing"))
    with pytest.raises(FileNotFoundError, match=f"{name} says '.*missing'"):
        create_ssl_context()
    assert isinstance(create_ssl_context(trust_env=False), ssl.SSLContext)
    assert isinstance(create_ssl_context(verify=False), ssl.SSLContext)


def test_environment_names_the_authorities(monkeypatch, authority, issued, tmp_path):
    folder = tmp_path / "hashed"
    folder.mkdir()
    (folder / "0123abcd.0").write_text("read when a certificate is checked that claims to be issued by this one")
    monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join([str(tmp_path / "missing"), str(folder)]))
    assert create_ssl_context().cert_store_stats()["x509"] == 0
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    assert create_ssl_context().cert_store_stats()["x509"] == names_count(authority.path)
    assert create_ssl_context("system").cert_store_stats()["x509"] == names_count(authority.path)
    assert create_ssl_context(trust_env=False).cert_store_stats()["x509_ca"] == names_in(certifi.where())


def test_key_log_is_written_where_the_environment_is_trusted(monkeypatch, tmp_path):
    path = str(tmp_path / "keys.log")
    monkeypatch.setenv("SSLKEYLOGFILE", path)
    assert create_ssl_context(verify=False).keylog_filename == path
    assert create_ssl_context(verify=False, trust_env=False).keylog_filename is None


def test_context_is_shared_between_equal_settings(issued):
    context = shared_ssl_context(True, None, True)
    assert shared_ssl_context(True, None, True) is context
    others = [
        shared_ssl_context(False, None, True),
        shared_ssl_context(True, None, False),
        shared_ssl_context(True, issued, True),
    ]
    assert len({id(each) for each in [context, *others]}) == 4
    assert shared_ssl_context(True, issued, True) is others[-1]


def test_shared_context_warns_of_nothing(issued):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shared_ssl_context(issued[0], issued, True)


def test_changed_environment_leads_to_another_context(monkeypatch, authority, issued, tmp_path):
    context = shared_ssl_context(True, None, True)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    assert shared_ssl_context(True, None, True) is not context
    monkeypatch.delenv("SSL_CERT_FILE")
    assert shared_ssl_context(True, None, True) is context
    (tmp_path / "0123abcd.0").write_text("")
    folders = os.pathsep.join([str(tmp_path), str(tmp_path / "missing")])
    monkeypatch.setenv("SSL_CERT_DIR", folders)
    assert shared_ssl_context(True, None, True) is not context


def test_renewed_certificate_leads_to_another_context(issued):
    context = shared_ssl_context(False, issued, True)
    os.utime(issued[0], ns=(1, 1))
    assert shared_ssl_context(False, issued, True) is not context


def test_few_contexts_are_kept(monkeypatch):
    monkeypatch.setattr(_trust, "MAX_SHARED_CONTEXTS", 2)
    settings = [(False, True), (False, False), (True, False)]
    contexts = [shared_ssl_context(verify, None, trust_env) for verify, trust_env in settings]
    assert list(_trust._shared.values()) == contexts[1:]


def test_many_threads_build_one_context(monkeypatch):
    built = []
    make = _trust.new_context

    def counted(*settings):
        built.append(settings)
        return make(*settings)

    monkeypatch.setattr(_trust, "new_context", counted)
    start = threading.Barrier(8)
    contexts = []

    def ask():
        start.wait()
        contexts.append(shared_ssl_context(False, None, True))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
    assert len({id(context) for context in contexts}) == 1
