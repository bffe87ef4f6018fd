"""Rules between fields: what single fields cannot say about themselves.

Invariants:
- A rule sees a spec whose types are right, and complains about one kind of contradiction.
- It says where (`loc` in the models' terms), what, and the cure; it never stops at the first.

To add a rule: a function in the file of its noun, its row in that file's table, and a test.
"""

from . import addresses, files, hosts, readers, services
from .shape import FileRule, Finding, Rule

RULES: tuple[Rule, ...] = (*addresses.RULES, *hosts.RULES, *services.RULES, *readers.RULES)
FILE_RULES: tuple[FileRule, ...] = files.RULES
__all__ = ["FILE_RULES", "RULES", "FileRule", "Finding", "Rule"]
