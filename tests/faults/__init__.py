"""Kills, power cuts, failing syncs and full disks, as root. A ledger says what was promised, an audit what is there.

The bounded form of each campaign runs with the marker `faults`; `FAULT_ROUNDS=2000` in the environment lengthens it.
Every campaign has a twin that plants a fault in the store and must find it.
"""
