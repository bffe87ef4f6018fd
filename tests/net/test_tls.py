"""Certificates come, change and break."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailserver_py.net.tls import TlsContexts

from .certificates import write_certificate

SERVICES = ((b"imap",), (b"pop3",))


def test_without_a_certificate_there_is_no_context(tmp_path: Path) -> None:
    tls = TlsContexts(tmp_path / "current", SERVICES)
    assert not tls.ready
    assert tls.context((b"imap",)) is None


def test_a_certificate_that_comes_later_is_taken_up(tmp_path: Path) -> None:
    tls = TlsContexts(tmp_path / "current", SERVICES)
    write_certificate(tmp_path / "1", "a.example")
    (tmp_path / "current").symlink_to("1")
    assert tls.reload()
    assert tls.context((b"imap",)) is not None
    assert not tls.reload()


def test_services_have_contexts_of_their_own(tmp_path: Path) -> None:
    write_certificate(tmp_path, "a.example")
    tls = TlsContexts(tmp_path, SERVICES)
    tls.reload()
    assert tls.context((b"imap",)) is not tls.context((b"pop3",))
    assert tls.context((b"imap",)) is tls.context((b"imap",))


@pytest.mark.parametrize("file", ["fullchain.pem", "key.pem"])
@pytest.mark.parametrize("content", ["", "garbage"], ids=["empty", "garbage"])
def test_a_broken_certificate_keeps_the_old_one_for_all_services(
    tmp_path: Path, file: str, content: str
) -> None:
    write_certificate(tmp_path, "a.example")
    tls = TlsContexts(tmp_path, SERVICES)
    tls.reload()
    before = [tls.context(service) for service in SERVICES]
    (tmp_path / file).write_text(content)
    with pytest.raises(ValueError, match="tmp"):
        tls.reload()
    assert [tls.context(service) for service in SERVICES] == before


def test_a_key_of_another_certificate_is_broken_too(tmp_path: Path) -> None:
    write_certificate(tmp_path / "1", "a.example")
    write_certificate(tmp_path / "2", "a.example")
    tls = TlsContexts(tmp_path / "1", SERVICES)
    tls.reload()
    (tmp_path / "1" / "key.pem").write_bytes((tmp_path / "2" / "key.pem").read_bytes())
    with pytest.raises(ValueError, match="tmp"):
        tls.reload()
    (tmp_path / "1" / "fullchain.pem").write_bytes((tmp_path / "2" / "fullchain.pem").read_bytes())
    assert tls.reload()
