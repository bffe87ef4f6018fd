"""What does a running mail host do?

Invariants:
- `app` is the one place that chooses a store, a resolver, a clock and randomness; all else gets a
  `DaemonContext`;
- a letter is answered 250 only when `queue.accept` has returned, and from then on every fate of it is one log
  line with its trace id: delivered, sent, deferred, failed, bounced;
- a session ends by its client, its deadline, or the drain; what it raises ends it alone;
- policy is ours (whom we know, whom we relay for), law is the protocol's: the words of a refusal come from
  the protocol rooms' reply tables, never from an exception.

To add a protocol: its room, `<protocol>_session.py` here with one `serve_<protocol>(connection, context)`, a
row in `spec.listeners`, and its words in `listeners`.
"""
