"""How a host becomes what the spec says: pyinfra over SSH, and steps that compare before they change.

Invariants:
- Nothing flows back from a host into the wish; what a host is like only decides what is left to do.
- A host that cannot work is refused before anything on it is changed, with all reasons at once.
- A second run changes nothing and says so; a run that died anywhere is mended by the next.
- `--dry` changes nothing and tells the truth: steps are pure, and the one look at a host is a fact.
- Secrets travel by standard input into files for root alone, and are decrypted for the host that needs them.
- Whether a process must be restarted is read from the process, not from what this run changed.

To add a step: see `steps`. To add a fact: see `onhost`.
"""
