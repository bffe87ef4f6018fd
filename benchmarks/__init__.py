"""Figures, side by side with a stock Postfix and Dovecot of Debian on the same machine in the same run: `make bench`.

- A figure is measured by the same client code against both, in turns, so that what else the machine does hurts both.
- Nothing is asserted: a table is printed, and a person reads it. Tests of speed would fail on somebody else's machine.
- Counts are bounded, servers listen on loopback only, and what was started is ended, also after a crash (`hosts`).
- What was not measured says why.

To add a figure: a function that yields `figures.Figure` in one of the files, and a row in `__main__.BENCHMARKS`.
`store.py` stands apart: it measures the store alone, without a server.
"""
