"""POP3, the server's side: RFC 1939, with RFC 2449, 2595, 3206, 5034 and 6856, as values and tables
without any I/O.

`session.ServerSession` takes bytes in, hands events out, and gives bytes to send; the owner has the
deadlines, the passwords and the letters.

Invariants:
- which command may be said in which state stands in `commands.COMMANDS` alone;
- no password is taken without TLS, and nothing that came in the clear counts after it (RFC 2595 §2.1);
- what DELE marks is removed only by QUIT in the TRANSACTION state, never by a lost connection (RFC 1939 §6);
- only CRLF.CRLF ends what we send: letters leave with CRLF line ends and stuffed dots, whatever they look
  like in the store, and however they are cut.

To add a command or a capability: a row in `commands.COMMANDS`; CAPA derives from the rows.
"""
