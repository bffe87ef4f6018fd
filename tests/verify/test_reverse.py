"""PTR and its confirmation."""

from __future__ import annotations

import asyncio

import pytest

from mailserver_py.net.resolver import Status
from mailserver_py.verify.checks import reverse

from .fakes import world

PTR = ("10.2.0.192.in-addr.arpa", "PTR")
FORWARD = ("mx1.example.org", "A")


@pytest.mark.parametrize(
    ("table", "codes"),
    [
        ({PTR: ["mx1.example.org."], FORWARD: ["192.0.2.10"]}, []),
        ({PTR: ["MX1.example.org."], FORWARD: ["192.0.2.10"]}, []),
        ({FORWARD: ["192.0.2.10"]}, ["ptr.missing"]),
        ({PTR: ["vps-7.provider.example."], FORWARD: ["192.0.2.10"]}, ["ptr.differs"]),
        ({PTR: ["mx1.example.org."], FORWARD: ["192.0.2.11"]}, ["ptr.not-confirmed"]),
        ({PTR: ["mx1.example.org."]}, ["ptr.not-confirmed"]),
        ({PTR: Status.TIMEOUT}, ["ptr.unknown"]),
    ],
    ids=["right", "any-case", "none", "another", "forward-differs", "no-forward", "no-answer"],
)
def test_each_address_leads_to_the_host_name_and_back(table: dict, codes: list[str]) -> None:
    outcome = asyncio.run(reverse.run(world(table)))
    assert [f.code for f in outcome.findings] == codes
