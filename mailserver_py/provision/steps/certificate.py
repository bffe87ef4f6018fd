"""The certificate in use is the kind that the spec wants; else the certificate job is run now and waited for.

The job (`daemon.certificate`, by `mailserver-cert.service`) does the rest by its timer. On a first deploy the
listeners show a certificate of their own making until the authority could see this host under its name: when the
DNS records are not published yet, this step fails and says so, and all before it stands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from ..seen import Seen
from ..units import CERT
from ..wish import Wish
from .listeners import question
from .shape import Change, Step

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
    hint = (
        f"No certificate yet: the lines above say why. The authority must be able to look up {wish.hostname} and reach"
        f" its port 80: publish the records with `mailserver publish {wish.site}` and deploy again, or wait for"
        f" the hourly timer. Until then the listeners show a certificate of their own making."
    )
    lines = f"journalctl --no-pager -o cat -n 12 -u {CERT} >&2"
    return (
        f"systemctl reset-failed {CERT} 2>/dev/null; systemctl start {CERT}"
        f" || {{ {lines}; echo {_quoted(hint)} >&2; exit 1; }}; {question(wish, seen, SHOWN_S)} --strict"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "’") + "'"


STEP = Step("certificate", changes)
