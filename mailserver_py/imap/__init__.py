"""What do a reader's bytes mean, and which bytes mean this? IMAP4rev1 (RFC 3501) and IMAP4rev2 (RFC 9051).

Invariants:
- no sockets, clocks or logs: bytes come in by `Session.receive`, everything else by the `Door`;
- what a client sends is bounded before it is kept (`reader.Limits`), and parsed in linear time;
- letters are parsed once, at delivery (`digest`); FETCH joins columns and slices letters;
- sequence numbers exist in `selected` alone, and an EXPUNGE is told only where RFC 9051 §7.5.1 allows it;
- CAPABILITY is gathered from the menu and the tables: what is announced is what runs.

Deviations: `\\Recent` is never set (`flags`); a NUL that a letter holds is served as it stands, in a literal, because
bytes out are bytes in (RFC 9051 §4.3 has no NUL there); headers in raw UTF-8 go to clients without UTF8=ACCEPT too, as
literals, instead of being downgraded (RFC 6855 §3): a changed header would break signatures.

To add a command, see `commands`; a FETCH item is a row in `items`, a SEARCH key in `keys`, a STATUS item in
`status_items`, a LIST option in `listing`, a name for ENABLE in `commands.enable`.
"""
