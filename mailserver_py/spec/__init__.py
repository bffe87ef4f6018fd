"""What did the operator ask for? The one declarative wish for a site, from `inventories/<site>/mail.yaml`.

Invariants:
- A spec that loads is whole: types and rules between fields have been checked; on request also its files.
- Everything wrong is said at once, each with file, line and cure.
- No secret is in the spec; secrets stand beside it, encrypted, one file each.
- What a host gets (`settings`) depends on the spec and the public keys alone: no clock, no network.

To add a wish: a field with its default and docstring in `model`, a rule in `rules` if it can contradict
another field, and a test for both. To add a door: a row in `listeners` and a field of `model.Listeners`.
"""
