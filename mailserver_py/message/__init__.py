"""What is a letter? RFC 5322, MIME (RFC 2045-2049, 2231), and their internationalised forms (RFC 6532).

Invariants:
- pure functions from octets to values; nothing on the wire path raises on what a stranger sent
  (`parse_address`, for addresses that people and specs give us, does);
- offsets are exact: a section of a letter is a slice of it, never a re-serialisation;
- time and memory are linear in the octets, and every count that a stranger chooses has a limit with its
  reason;
- line ends may be CRLF or LF alone; a bare CR is an octet like others;
- what we build ourselves cannot be broken out of: a control character in a value is refused, never written.

To add a structured field: a `parse_…` here, its pair in `build` if we ever write it, a property test for
the two.
"""
