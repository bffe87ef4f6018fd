"""SPF: RFC 7208, complete.

`record` reads the grammar, `macro` its macro strings, `evaluate` is check_host() over a lookup port.

Invariants:
- A record with any syntax error is a permerror before anything of it is evaluated (§4.6).
- At most 10 terms that ask the DNS, 10 names of an MX or PTR answer, and 2 void lookups (§4.6.4); so a
  hostile record makes us ask some 120 questions at most, and an honest one a handful.
- DNS trouble is a temperror, never a fail.

`record.parse` also serves whoever writes or checks a record of our own.
"""

from .evaluate import Evaluation, Result, evaluate
from .record import Record, parse_record

__all__ = ["Evaluation", "Record", "Result", "evaluate", "parse_record"]
