"""The certificate in use is the kind that the spec wants; else the certificate job is run now and waited for.

The job (`daemon.certificate`, by `mailserver-cert.service`) does the rest by its timer. On a first deploy the
listeners show a certificate of their own making until the authority could see this host under its name: when the
DNS records are not published yet, this step fails and says so, and all before it stands.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator

from ..seen import Seen
from ..units import CERT, JOURNAL
from ..wish import Wish
from .listeners import question
from .shape import Change, Step

JOURNAL_LINES = 8
SHOWN_S = 20
"""Until every worker shows the new certificate."""


def changes(wish: Wish, seen: Seen) -> Iterator[Change]:
    about = seen.certificate
    source = wish.spec.tls.source
    if about.get("source") != source:
        reason = "none yet" if not about else f"{about.get('source')}, not {source}"
    elif source == "acme" and about.get("directory") != wish.settings.acme_directory:
        reason = "from another authority than the spec's"
    elif source == "files" and about.get("chain") != hashlib.sha256(wish.certificate_chain).hexdigest():
        reason = "not the site's file"
    elif about.get("key") != key_digest(wish):
        reason = "made for another key than the site's"
    elif float(about.get("not_after", 0)) <= seen.now_s:
        reason = "out of date"
    else:
        return
    yield Change(what=(f"certificate: {reason}",), script=_obtain(wish, seen))


def key_digest(wish: Wish) -> str:
    """As the job notes it in `about.json`: of the key's file, for the public half needs no more than equality."""
    return hashlib.sha256(wish.secrets.get("tls-key", b"")).hexdigest()


def _obtain(wish: Wish, seen: Seen) -> str:
    hint = f"No certificate from {CERT}; the lines above say why."
    if wish.spec.tls.source == "acme":
        hint += (
            f" The authority must be able to look up {wish.hostname} and to reach its port 80: publish the records"
            f" with `mailserver publish {wish.site}`, then deploy again or wait for the hourly timer. Until then the"
            " listeners show a certificate of their own making."
        )
    return (
        f"systemctl reset-failed {CERT} 2>/dev/null; systemctl start {CERT} 2>/dev/null"
        f" || {{ {JOURNAL} -n {JOURNAL_LINES} -u {CERT} >&2;"
        f" echo {shlex.quote(hint)} >&2; exit 1; }};"
        f" {question(wish, seen, SHOWN_S)} --strict"
    )


STEP = Step("certificate", changes)
