"""Lines, limits and SASL steps: what every line protocol needs before it knows which protocol it is.

Invariants:
- every buffer has a limit, given by the reader, and work is linear in what came, however it was split;
- nothing here answers a peer: a broken rule is an exception or a value, and the protocol's table has the
  words;
- no secret is part of a `repr`.

To add a SASL mechanism: one file in `sasl/` and its row in `sasl.MECHANISMS`; SMTP's and POP3's capability
lists and IMAP's `AUTH=` words derive from it.
"""
