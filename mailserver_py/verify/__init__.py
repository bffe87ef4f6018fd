"""Does the world match the wish? Checks that look at a running site as a stranger, and as a user, would.

Invariants:
- A check is independent, has a deadline, and ends in an outcome: nothing it meets outside raises out of it.
- A finding has a stable code, what was seen, what was wanted, and the fix. "Could not tell" is not "all is well".
- The clients are the standard library's, not ours: a mistake that our server makes must not be hidden by a client
  that makes the same one.
- Test letters are marked, go to an account of their own, and are removed after.

To add a check: a leaf in `checks/`, a row in its menu, a test that breaks the one thing and sees the code.
"""
