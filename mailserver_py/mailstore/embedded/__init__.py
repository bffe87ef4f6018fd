"""The embedded engine: SQLite for the indexes, one immutable file for each letter, all in one folder.

    site.db                    the queue, the counters, names of files on their way out
    accounts/NAME/index.db     an account's mailboxes, messages and digests
    blobs/ab/cdef…             the letters, named by SHA-256, shared by all accounts and the queue
    waiting/ID/                one process's unfinished letters; its lock tells whether it lives
    released/                  files being asked whether anybody refers to them
    erasing/                   plans of erasures, and accounts' folders on their way out (`erase.py`)
    *.made                     beside a database: it was made whole once; without its tables it is not made anew
    *.lock                     batches under way (`files.Turns`), the one releaser (`release.py`)

Invariants:
- order of a promise: file synced, renamed, folder synced, index committed with full sync, then the answer;
- each process has one writer thread; what waits together is synced together (`writer.py`);
- several processes may have the folder open; SQLite's write lock orders them, and no cache outlives a commit;
- what was expunged is a row of `kept` while the account's rules want it, and refers to its letter like a message;
- references to files are found in the accounts and the queue themselves, never counted across databases (`release.py`);
- after a failed sync the process promises nothing more (`transaction.py`).

To add a column or table: raise the version in `schema.py`, write the step from the last version beside it, and keep the
refusal of versions from the future.
"""

from .store import EmbeddedStore

__all__ = ["EmbeddedStore"]
