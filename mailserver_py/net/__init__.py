"""How do bytes and names reach us? The only room with sockets.

Invariants:
- a session sees a `Connection` and nothing of sockets, loops or TLS;
- every wait has an end: reads by their caller, writes, handshakes and closes by limits here;
- what a peer can make us keep is bounded: 64 KiB to read, a send buffer of the same size, so many
  connections;
- no text of an exception reaches a peer.

To add a way for bytes to come (a proxy's header, say): make another `Connection` in its own file; no session
changes.
"""
