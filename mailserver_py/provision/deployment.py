"""A deploy: look at the host once, refuse what cannot work, then run the menu of steps.

The only file that knows pyinfra's operations and facts. Each step is one operation, run through `host.loop`, because
pyinfra tells operations apart by line numbers alone. The look is a fact; it is taken once and again after each
operation that changed something, so that an unchanged host costs two commands.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyinfra import logger
from pyinfra.api.command import FileUploadCommand, StringCommand
from pyinfra.api.exceptions import FactProcessError
from pyinfra.api.facts import FactBase
from pyinfra.api.host import Host
from pyinfra.api.operation import operation
from pyinfra.context import host, state

from mailserver_py.errors import OperatorError, Reason, WorldError

from .change import Change
from .onhost import program
from .preflight import check_host, notes
from .seen import BASE_PACKAGES, TIME_KEEPERS, TREES, Seen, parse_seen
from .site import derive_wish
from .steps import MENU
from .steps.shape import Gate, Step
from .wish import RELEASES, STATE, Wish

NO_PYTHON = "no python3"
STALE_S = 60
"""A look older than this is taken again before anything is changed: the operator may have read the plan over tea."""


class Answer(FactBase[Mapping[str, Any]]):
    """The JSON object that shell text prints on the host. Asking changes nothing."""

    def command(self, text: str) -> StringCommand:
        missing = shlex.quote(json.dumps({"missing": NO_PYTHON}))
        return StringCommand(f"if command -v python3 >/dev/null; then {text}; else echo {missing}; fi")

    def process(self, output: list[str]) -> Mapping[str, Any]:
        try:
            answer = json.loads(output[-1])
        except (IndexError, ValueError):
            raise FactProcessError("the host's answer is no JSON") from None
        if not isinstance(answer, dict):
            raise FactProcessError("the host's answer is no JSON object")
        return answer

    @staticmethod
    def default() -> Mapping[str, Any]:
        return {}


@dataclass
class Target:
    """One host of one run: its wish, and the last look at it."""

    host: Host
    wish: Wish
    seen: Seen | None = field(default=None, repr=False)
    seen_at_s: float = 0
    """By the monotonic clock."""

    def look(self) -> Seen:
        """What the host is like; asked again when something changed since, or when it was long ago."""
        if self.seen is None or time.monotonic() - self.seen_at_s > STALE_S:
            asked = {
                "trees": TREES,
                "packages": [*BASE_PACKAGES, *TIME_KEEPERS],
                "ports": [door.port for door in self.wish.doors],
                "tls": self.wish.tls_folder,
                "releases": RELEASES,
                "state": STATE,
            }
            answer = self.host.get_fact(Answer, program("probe.py", json.dumps(asked)), _ignore_errors=True)
            if answer.get("missing"):
                raise OperatorError(
                    Reason("it has no python3", "`apt-get install python3-minimal` on the host")
                )
            if "uid" not in answer:
                raise WorldError(
                    "it could not be looked at; the lines above say why (is its user allowed to use sudo?)"
                )
            self.seen = parse_seen(answer)
            self.seen_at_s = time.monotonic()
        return self.seen

    def forget(self) -> None:
        self.seen = None


def provision() -> None:
    """Makes pyinfra's current host a mail host: called by `deploy.py`, once for each host.

    Host data: `site` (the loaded spec), `hostname` (in it), and optionally `release` (an older one to go back to).
    """
    target = _prepare()
    if target is None:
        return
    for leaf in host.loop(MENU):
        if isinstance(leaf, Gate):
            ask(name=leaf.name, gate=leaf, target=target)
        else:
            converge(name=leaf.name, step=leaf, target=target)


def _prepare() -> Target | None:
    """The target, when nothing speaks against it; else the host leaves the run, and nothing on it was touched."""
    try:
        target = Target(
            host,
            derive_wish(host.data.site, host.data.hostname, wanted_release=host.data.get("release") or ""),
        )
        reasons = check_host(target.wish, target.look(), time.time())
    except OperatorError as error:
        reasons = tuple(error.reasons)
    except WorldError as error:
        reasons = (Reason(str(error)),)
    if not reasons:
        for line in notes(target.wish, target.look()):
            logger.warning(f"{host.print_prefix}{line}")
        return target
    _tell(reasons)
    logger.error(f"{host.print_prefix}nothing on it was changed")
    state.fail_hosts({host})
    return None


def _tell(reasons: Sequence[Reason]) -> None:
    for reason in reasons:
        for line in reason.render().splitlines():
            logger.error(f"{host.print_prefix}{line}")


@operation()
def converge(step: Step, target: Target) -> Generator[StringCommand | FileUploadCommand, None, None]:
    """One step's changes, each named in the output before it is made."""
    try:
        changes = list(step.changes(target.wish, target.look()))
        for change in changes:
            for line in change.what:
                logger.info(f"{host.print_prefix}    {line}")
        for change in changes:
            yield from _commands(change)
            target.forget()
    except OperatorError as error:
        _tell(error.reasons)
        yield _failure("the operator must act; see above")
    except WorldError as error:
        yield _failure(str(error))


@operation()
def ask(gate: Gate, target: Target) -> Generator[StringCommand, None, None]:
    """A gate: nothing when it is open, a failing command with the reasons when it is not."""
    if not state.is_executing:
        return  # a plan cannot know how the host will answer afterwards
    answer = host.get_fact(Answer, gate.question(target.wish, target.look()), _ignore_errors=True)
    reasons = gate.reasons(answer)
    if reasons:
        yield _failure("\n".join(reasons))


def _commands(change: Change) -> Generator[StringCommand | FileUploadCommand, None, None]:
    script = change.script
    if change.upload is not None:
        folder = shlex.quote(change.upload.path.rpartition("/")[0])
        yield StringCommand(f"install -d -m 700 {folder}")
        source = change.upload.make()
        yield FileUploadCommand(str(source), change.upload.path)
        script = f"export UPLOAD_SHA256={hashlib.sha256(source.read_bytes()).hexdigest()}; {script}"
    if change.stdin:
        yield StringCommand(script, _stdin=change.stdin)
    else:
        yield StringCommand(script)


def _failure(text: str) -> StringCommand:
    """A command that fails on the host with this text, which is how pyinfra takes a host out of the run."""
    return StringCommand("cat >&2; exit 1", _stdin=text)
