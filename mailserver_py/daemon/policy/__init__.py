"""What the house decides: for whom we take letters, as whom an account may send, how much room there is.

Invariants:
- Nothing is relayed for a stranger: without a login only addresses of our own domains are recipients.
- An address is compared by its key alone (`message.address`), so that case, A- and U-labels make no
  difference.
- One letter reaches a mailbox once, through however many aliases and groups it was addressed.
- What is said to a stranger stands in `replies`, and does not tell an alias from an account.

To add a rule: a file of its own with the decision as a method or function over the settings, and its reply.
"""

from __future__ import annotations

from mailserver_py.net.resolver import Resolver
from mailserver_py.spec.settings import HostSettings

from ..lookup import ResolverLookup
from ..sender_checks import SenderChecks
from .recipients import Recipients
from .senders import Senders
from .space import Space


class Policy:
    """One process's policy."""

    def __init__(self, settings: HostSettings, resolver: Resolver) -> None:
        self.recipients = Recipients(settings)
        self.senders = Senders(settings)
        self.space = Space(settings)
        self.checks = SenderChecks(ResolverLookup(resolver), settings.hostname)
