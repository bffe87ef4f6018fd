"""Is this letter from whom it says? Record grammars and pure evaluators: DKIM, SPF, Authentication-Results.

Invariants:
- Nothing here asks the network: lookups come in as an async callable (`lookup.Lookup`), so that every
  verdict can be tested with a table of records.
- `evaluate` and `verify` return verdicts and never raise on what a peer or a DNS record says.
- All work is bounded: lookups, signatures, key sizes, record sizes.

To add a check (DMARC, ARC): a file or folder of its own with the record's grammar and its evaluator over
`Lookup`; its result becomes one more `MethodResult` of `authentication_results`.
"""
