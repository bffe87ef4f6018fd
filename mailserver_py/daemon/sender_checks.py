"""SPF and DKIM for letters from the world: found out, written down, and never a reason to refuse by
themselves.

DNS that fails or dawdles makes a temperror (RFC 8601 §2.7), so that a stranger's name server cannot hold up a
session for longer than CHECK_S.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mailserver_py.message.header import Header
from mailserver_py.senderauth import dkim, spf
from mailserver_py.senderauth.authentication_results import MethodResult, dkim_results, spf_result
from mailserver_py.senderauth.lookup import Lookup
from mailserver_py.smtp.paths import Path

CHECK_S = 10.0
"""For all questions of one method; RFC 7208 §4.6.4 asks for at least 20 s, which honest zones never need.

Deviation: half of it, because a client waits meanwhile.
"""

REMEMBER_S = 60
"""How long an SPF verdict on the same client and sender stands; a burst of letters is one evaluation."""

REMEMBER_COUNT = 10_000

THREAD_BYTES = 262_144
"""Letters above are hashed in a thread: below, it takes a millisecond at most."""


class SenderChecks:
    """One process's checks."""

    def __init__(self, lookup: Lookup, receiver: str) -> None:
        self._lookup = lookup
        self._receiver = receiver
        self._verdicts: dict[tuple[str, str, str], tuple[int, spf.Evaluation]] = {}

    async def check_spf(self, address: str, hello: str, path: Path, now_s: int) -> MethodResult:
        """The verdict on this client using this reverse-path."""
        reverse_path = path.serialize()
        key = (address, hello.lower(), reverse_path)
        known = self._verdicts.get(key)
        if known is not None and now_s < known[0]:
            evaluation = known[1]
        else:
            evaluation = await self._evaluate_spf(address, hello, reverse_path, now_s)
            if len(self._verdicts) >= REMEMBER_COUNT:
                self._verdicts.clear()
            if evaluation.result is not spf.Result.TEMPERROR:
                self._verdicts[key] = (now_s + REMEMBER_S, evaluation)
        return spf_result(evaluation, reverse_path, hello)

    async def _evaluate_spf(self, address: str, hello: str, reverse_path: str, now_s: int) -> spf.Evaluation:
        try:
            async with asyncio.timeout(CHECK_S):
                return await spf.evaluate(
                    self._lookup,
                    address=address,
                    helo=hello,
                    reverse_path=reverse_path,
                    receiver=self._receiver,
                    now_s=now_s,
                )
        except TimeoutError:
            identity = "mailfrom" if reverse_path else "helo"
            return spf.Evaluation(spf.Result.TEMPERROR, reverse_path.rpartition("@")[2] or hello, identity)

    async def check_dkim(self, letter: bytes, header: Header, now_s: int) -> Sequence[MethodResult]:
        """The verdicts on the letter's signatures."""
        signatures = dkim.parse_signatures(header, now_s)
        if not signatures:
            return dkim_results(())
        try:
            async with asyncio.timeout(CHECK_S):
                keys = await dkim.lookup_keys(signatures, self._lookup)
        except TimeoutError:
            return (MethodResult("dkim", dkim.Result.TEMPERROR.value, "keys not to be had in time"),)
        if len(letter) > THREAD_BYTES:
            return dkim_results(await asyncio.to_thread(dkim.evaluate, letter, header, signatures, keys))
        return dkim_results(dkim.evaluate(letter, header, signatures, keys))
