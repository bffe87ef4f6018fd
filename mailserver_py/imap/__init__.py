"""What do a reader's bytes mean, and which bytes mean this? IMAP4rev1 (RFC 3501) and IMAP4rev2 (RFC 9051).

Invariants:
- no sockets, clocks or logs: bytes come in by `Session.receive`, everything else by the `Door`;
- what a client sends is bounded before it is kept (`reader.Limits`), and parsed in linear time;
- letters are parsed once, at delivery (`digest`); FETCH joins columns and slices letters;
- sequence numbers exist in `selected` alone, and an EXPUNGE is told only where RFC 9051 §7.5.1 allows it;
- CAPABILITY is gathered from the menu and the tables: what is announced is what runs.

To add a command, see `commands`; a FETCH item is a row in `items`, a SEARCH key in `keys`, a STATUS item in
`status_items`, a LIST option in `listing`, a name for ENABLE in `commands.enable`.
"""
