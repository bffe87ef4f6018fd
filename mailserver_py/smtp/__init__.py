"""SMTP: RFC 5321, both sides, as values and tables without any I/O.

`server.ServerSession` and `client.ClientSession` take bytes in (`receive`), hand events out (`next_event`),
and give bytes to send (`data_to_send`). The owner carries bytes, keeps deadlines, and answers events by
`reply`.

Invariants:
- Rule 1: what may follow what stands in `states` alone; a missing cell is the protocol error 503.
- Only CRLF.CRLF ends a letter, and a letter with a bare CR, a bare LF or a NUL is refused (`letter_reader`).
- After STARTTLS nothing that came or was said before is remembered (RFC 3207 §4.2).
- Nothing that a peer sent is echoed to it, and all that is kept of a peer is bounded.
- The client never emits a bare CR or LF or an unstuffed dot (`letter_writer`), nor a line that its caller
  broke.

To add an extension: one row in `extensions.EXTENSIONS` (keyword, when it is offered, its MAIL and RCPT
parameters); a new verb also needs its cells in `states` and its method in `server`.
"""
