"""Asking the servers that own a zone: a real Knot, found by a table of NS records."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailserver_py.net.authoritative import AuthoritativeResolver
from mailserver_py.net.resolver import Answer, Status, TableResolver
from tests.zone.knot import running_knot

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        os.geteuid() != 0, reason="a name server is found by its name alone: it needs port 53"
    ),
]

ADDRESS = "127.0.0.77"
NS = {("example.org", "NS"): ("ns.example.org.",), ("ns.example.org", "A"): (ADDRESS,)}


@pytest.fixture(scope="module", autouse=True)
def knot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder: Path = tmp_path_factory.mktemp("knot")
    with running_knot(folder, address=ADDRESS, port=53):
        yield


def ask(name: str, rdtype: str, table: dict | None = None) -> Answer:
    return asyncio.run(
        AuthoritativeResolver(TableResolver(NS if table is None else table)).lookup(name, rdtype)
    )


def test_the_zones_own_server_answers_what_the_resolver_does_not_know() -> None:
    answer = ask("www.example.org", "A")
    assert (answer.status, [str(r) for r in answer.records]) == (Status.OK, ["198.51.100.80"])


@pytest.mark.parametrize("name", ["www.example.org", "nobody.example.org"], ids=["no-type", "no-name"])
def test_what_the_zone_does_not_have_is_no_data(name: str) -> None:
    assert ask(name, "MX").status is Status.NODATA


def test_a_server_that_is_not_authoritative_gives_no_answer() -> None:
    table = {("example.net", "NS"): ("ns.example.org.",), ("ns.example.org", "A"): (ADDRESS,)}
    assert ask("www.example.net", "A", table).status is Status.TIMEOUT


def test_a_silent_server_is_passed_over_for_the_next() -> None:
    table = NS | {("ns.example.org", "A"): ("127.0.0.78", ADDRESS)}
    assert ask("www.example.org", "A", table).status is Status.OK


def test_without_any_server_there_is_no_answer() -> None:
    assert ask("www.example.org", "A", {}).status is Status.TIMEOUT
    failing = {("www.example.org", "NS"): Answer(Status.SERVFAIL)}
    assert ask("www.example.org", "A", failing).status is Status.TIMEOUT


def test_a_name_that_cannot_be_is_not_asked_for() -> None:
    assert ask("a" * 64 + ".example.org", "A").status is Status.NXDOMAIN
