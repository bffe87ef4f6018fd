"""Where does a letter lie? A port (`port.py`), the values that cross it, its contract, its engines.

The contract is `tests/mailstore/contract.py`: one suite, run on every engine.

Invariants:
- what a method answered with is durable: files and directories synced, then the index committed with full sync;
- a UID is assigned once and never reused, a MODSEQ only grows, a UIDVALIDITY comes from one site-wide source;
- a letter's file is immutable and named by its SHA-256; it goes only after nothing refers to it;
- local delivery happens exactly once for each recipient, however often it is repeated;
- after a failed sync an engine promises nothing more until it is opened anew;
- no name from outside (account, mailbox) ever becomes a path as it is.

To add an engine: a folder beside `embedded/` that offers `port.Store`; make a subclass of the contract suite for it;
only the daemon's `app` and `cli/host_store` choose it.
"""
