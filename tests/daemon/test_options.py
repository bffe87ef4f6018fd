"""What a process is started with: settings, credentials, a rehearsal's world, and what is wrong with them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from mailserver_py.daemon.credentials import load_credentials
from mailserver_py.daemon.options import load_settings
from mailserver_py.daemon.rehearsal import load_rehearsal
from mailserver_py.errors import OperatorError
from mailserver_py.net.resolver import Status
from mailserver_py.spec.keys.pem import make_ed25519
from mailserver_py.spec.settings import DomainSettings, Identity
from mailserver_py.wire.sasl.keys import derive_keys

from .smtp_world import settings

SIGNED = {"lab.test": DomainSettings(dkim=(Identity(selector="e1", algorithm="ed25519-sha256"),))}


def test_settings_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(settings().model_dump_json())
    assert load_settings(path) == settings()


@pytest.mark.parametrize("content", [None, "", "[]", '{"hostname": 5, "strange": 1}'])
def test_settings_that_cannot_be_used_are_the_operators(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "settings.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(OperatorError) as caught:
        load_settings(path)
    assert all(reason.file == str(path) and reason.cure for reason in caught.value.reasons)


def test_credentials_are_read(tmp_path: Path) -> None:
    keys = derive_keys("secret", b"salt", 4096)
    written = {
        "alice@lab.test": "$argon2id$x",
        "bob@lab.test": "$argon2id$y",
        "scram:bob@lab.test": keys.serialize(),
    }
    (tmp_path / "passwords").write_text(json.dumps(written))
    (tmp_path / "dkim.e1.lab.test").write_bytes(make_ed25519())
    found = load_credentials(tmp_path, settings(domains=SIGNED))
    assert found.password_hashes == {"alice@lab.test": "$argon2id$x", "bob@lab.test": "$argon2id$y"}
    assert found.scram_keys == {"bob@lab.test": keys}
    (key,) = found.signing_keys["lab.test"]
    assert (key.domain, key.selector) == ("lab.test", "e1")
    assert "argon2id" not in repr(found)
    assert "iteration" not in repr(found)


def test_all_that_is_wrong_with_credentials_is_said_at_once_and_no_secret(tmp_path: Path) -> None:
    (tmp_path / "passwords").write_text("{'alice': canary}")
    (tmp_path / "dkim.e1.lab.test").write_text("canary")
    with pytest.raises(OperatorError) as caught:
        load_credentials(tmp_path, settings(domains=SIGNED))
    assert len(caught.value.reasons) == 2
    assert "canary" not in str(caught.value)


def test_a_rehearsal_answers_and_leads_astray(tmp_path: Path) -> None:
    async def case() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"here")
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        path = tmp_path / "rehearsal.json"
        path.write_text(
            json.dumps({"answers": [["a.test", "A", ["127.0.0.1"]]], "ports": {"127.0.0.1": {"25": port}}})
        )
        world = load_rehearsal(path)
        assert (await world.resolver.lookup("a.test", "A")).status is Status.OK
        stream = await world.dial("127.0.0.1", 25, timeout_s=1)
        assert await stream.read(1) == b"here"
        await stream.close()
        for address, meant in (("127.0.0.1", 26), ("198.51.100.1", 25)):
            with pytest.raises(ConnectionError):
                await world.dial(address, meant, timeout_s=1)
        server.close()

    asyncio.run(case())


def test_a_broken_rehearsal_is_said(tmp_path: Path) -> None:
    path = tmp_path / "rehearsal.json"
    path.write_text('{"answers": [[1]]}')
    with pytest.raises(OperatorError):
        load_rehearsal(path)
