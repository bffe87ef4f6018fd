"""The health gate: every open listener answers in its protocol and shows the certificate of the disk; the queue runs.

Asked on the host itself, so that neither DNS nor a router in between has a say; the world's view is `verify`'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from ..onhost import program
from ..seen import Seen
from ..units import QUEUE, workers
from ..wish import Wish
from .shape import Gate

PATIENCE_S = 10
"""For a listener to come right: a worker looks for a new certificate every few seconds."""


def question(wish: Wish, seen: Seen, patience_s: int = PATIENCE_S) -> str:
    """Shell text of the look; also used after a certificate was obtained, to wait until it is shown."""
    asked = {
        "listeners": [
            {"name": d.name, "port": d.port, "protocol": d.protocol, "implicit_tls": d.implicit_tls}
            for d in wish.doors
        ],
        "units": [*workers(wish, seen), QUEUE],
        "hostname": wish.hostname,
        "tls": wish.tls_folder,
        "patience_s": patience_s,
    }
    return program("listening.py", json.dumps(asked))


def reasons(answer: Mapping[str, object]) -> Sequence[str]:
    troubles = answer.get("troubles")
    if not isinstance(troubles, dict):
        return ["the host did not say whether its listeners answer"]
    if not troubles:
        return []
    journal = answer.get("journal")
    lines = [f"    {line}" for line in journal] if isinstance(journal, list) else []
    heading = (
        [
            "the last lines of the journal (`journalctl --namespace=+mailserver -u 'mailserver-*'` on the host):"
        ]
        if lines
        else []
    )
    return [*(f"{name}: {trouble}" for name, trouble in sorted(troubles.items())), *heading, *lines]


STEP = Gate("every listener answers", question, reasons)
