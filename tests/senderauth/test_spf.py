"""SPF: the openspf suite for RFC 7208 when it is at hand, and the limits by themselves."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from mailserver_py.senderauth.spf import Evaluation, Result, evaluate, parse_record

from .records import Records

DATA = Path(
    os.environ.get("MAILSERVER_SHARED_DATA", str(Path(__file__).resolve().parents[3] / "shared" / "data"))
)
SUITE = DATA / "spf" / "rfc7208-tests.yml"


def check(
    records: Records, reverse_path: str, address: str = "192.0.2.1", helo: str = "h.test"
) -> Evaluation:
    return asyncio.run(
        evaluate(
            records,
            address=address,
            helo=helo,
            reverse_path=reverse_path,
            receiver="mx.test",
            now_s=1_700_000_000,
        )
    )


# ---- the suite


def _octets(text: str) -> bytes:
    return text.encode("latin-1", "replace")


def _load_zone(zone: dict[str, list[Any]]) -> Records:
    records = Records()
    for name, entries in zone.items():
        has_txt = any(isinstance(entry, dict) and "TXT" in entry for entry in entries)
        for entry in entries:
            if entry == "TIMEOUT":
                records.add(str(name), "TIMEOUT", True)
                continue
            for rdtype, value in entry.items():
                if rdtype in ("TXT", "SPF"):
                    if (rdtype == "SPF" and has_txt) or value == "NONE":
                        continue
                    parts = [value] if isinstance(value, str) else value
                    records.add(str(name), "TXT", b"".join(_octets(part) for part in parts))
                elif rdtype == "MX":
                    records.add(str(name), "MX", value[1])
                elif rdtype == "PTR":
                    records.add(_address_of(str(name)), "PTR", value)
                elif rdtype == "CNAME":
                    records.add(str(name), "CNAME", value)
                elif rdtype in ("A", "AAAA"):
                    records.add(str(name), rdtype, str(ip_address(value)))
    return records


def _address_of(reverse_name: str) -> str:
    labels = reverse_name.lower().split(".")
    if labels[-2:] == ["in-addr", "arpa"]:
        return ".".join(reversed(labels[:4]))
    digits = "".join(reversed(labels[:32]))
    return str(ip_address(":".join(digits[at : at + 4] for at in range(0, 32, 4))))


def _cases() -> Iterator[Any]:
    if not SUITE.exists():
        return
    for document in YAML(typ="safe").load_all(SUITE.read_text()):
        zone = _load_zone(document["zonedata"])
        for name, case in document["tests"].items():
            yield pytest.param(zone, case, id=f"{document['description']}-{name}".replace(" ", "_"))


@pytest.mark.skipif(not SUITE.exists(), reason=f"the openspf suite is not at {SUITE}")
@pytest.mark.parametrize(("zone", "case"), list(_cases()))
def test_openspf_suite(zone: Records, case: dict[str, Any]) -> None:
    verdict = check(zone, case["mailfrom"], case["host"], case["helo"])
    wanted = case["result"]
    assert verdict.result.value in ([wanted] if isinstance(wanted, str) else wanted)
    if case.get("explanation", "DEFAULT") != "DEFAULT":
        assert verdict.explanation == case["explanation"]
