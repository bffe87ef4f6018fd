"""The stub resolver against a DNS server that misbehaves on request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from mailserver_py.net import resolver as subject
from mailserver_py.net.resolver import Answer, Status, StubResolver, TableResolver, parse_server

from .conftest import Run

Answering = Callable[[dns.message.Message], dns.message.Message | bytes | None]


class Server(asyncio.DatagramProtocol):
    def __init__(self, answering: Answering) -> None:
        self.answering = answering
        self.queries = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.queries += 1
        answer = self.answering(dns.message.from_wire(data))
        if answer is not None:
            wire = answer if isinstance(answer, bytes) else answer.to_wire()
            self.transport.sendto(wire, addr)


@asynccontextmanager
async def asking(answering: Answering) -> AsyncIterator[tuple[StubResolver, Server]]:
    server = Server(answering)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: server, local_addr=("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    try:
        yield StubResolver(f"127.0.0.1:{port}"), server
    finally:
        transport.close()


def reply(query: dns.message.Message, *records: str, rcode: int = 0, flags: int = 0) -> dns.message.Message:
    answer = dns.message.make_response(query)
    answer.set_rcode(dns.rcode.Rcode(rcode))
    answer.flags |= flags
    for record in records:
        name, ttl, *rest = record.split(" ", 4)
        answer.answer.append(dns.rrset.from_text(name, int(ttl), *rest))
    return answer


@pytest.mark.parametrize(
    ("answering", "status"),
    [
        (lambda q: reply(q, "a.example. 60 IN MX 10 mx.a.example."), Status.OK),
        (lambda q: reply(q, rcode=3), Status.NXDOMAIN),
        (reply, Status.NODATA),
        (lambda q: reply(q, rcode=2), Status.SERVFAIL),
        (lambda q: reply(q, rcode=5), Status.SERVFAIL),
        (lambda q: q.to_wire()[:2] + b"garbage", Status.TIMEOUT),
        (lambda q: None, Status.TIMEOUT),
        (
            lambda q: reply(q, "a.example. 60 IN CNAME b.example.", "b.example. 60 IN CNAME a.example."),
            Status.SERVFAIL,
        ),
    ],
    ids=["ok", "nxdomain", "nodata", "servfail", "refused", "garbage", "silence", "loop"],
)
def test_every_ending_is_a_status(
    run: Run, monkeypatch: pytest.MonkeyPatch, answering: Answering, status: Status
) -> None:
    monkeypatch.setattr(subject, "LIFETIME_S", 0.3)

    async def case() -> None:
        async with asking(answering) as (resolver, _):
            assert (await resolver.lookup("a.example", "MX")).status is status

    run(case())


def test_authenticated_data_of_a_loopback_resolver_counts(run: Run) -> None:
    async def case() -> None:
        for flags, expected in ((dns.flags.AD, True), (0, False)):

            def answering(query: dns.message.Message, flags: int = flags) -> dns.message.Message:
                assert query.flags & dns.flags.AD
                return reply(query, "a.example. 60 IN A 192.0.2.1", flags=flags)

            async with asking(answering) as (resolver, _):
                assert (await resolver.lookup("a.example", "A")).authenticated is expected

    run(case())


def test_answers_are_kept_for_their_time(run: Run) -> None:
    async def case() -> None:
        async with asking(lambda q: reply(q, "a.example. 60 IN A 192.0.2.1")) as (resolver, server):
            for _ in range(3):
                assert (await resolver.lookup("A.example.", "A")).records[0].to_text() == "192.0.2.1"
            assert server.queries == 1

    run(case())


@pytest.mark.parametrize("name", ["x" * 64 + ".example", "a..b", "a." * 200], ids=["label", "empty", "long"])
def test_impossible_names_do_not_exist(run: Run, name: str) -> None:
    async def case() -> None:
        assert (await StubResolver("127.0.0.1:1").lookup(name, "A")).status is Status.NXDOMAIN

    run(case())


def test_a_table_answers_what_it_holds(run: Run) -> None:
    async def case() -> None:
        table = TableResolver(
            {("a.example", "MX"): ("10 mx.a.example.",), ("b.example", "A"): Answer(Status.TIMEOUT)}
        )
        assert (await table.lookup("A.Example.", "MX")).records[0].to_text() == "10 mx.a.example."
        assert (await table.lookup("a.example", "A")).status is Status.NODATA
        assert (await table.lookup("c.example", "A")).status is Status.NXDOMAIN
        assert (await table.lookup("b.example", "A")).status.temporary

    run(case())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.53", ("192.0.2.53", 53)),
        ("192.0.2.53:5353", ("192.0.2.53", 5353)),
        ("2001:db8::53", ("2001:db8::53", 53)),
        ("[2001:db8::53]:5353", ("2001:db8::53", 5353)),
    ],
)
def test_a_server_is_an_address_and_perhaps_a_port(text: str, expected: tuple[str, int]) -> None:
    assert parse_server(text) == expected
