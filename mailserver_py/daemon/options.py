"""What a process of the daemon is started with, and the settings file it reads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from pydantic import ValidationError

from mailserver_py.errors import OperatorError, Reason
from mailserver_py.spec.settings import HostSettings


class Part(Enum):
    """What a process does."""

    WORKER = "worker"
    """Answers on the listeners."""
    QUEUE = "queue"
    """Sends what goes out, repairs, keeps house."""
    ALL = "all"
    """Both, for tries and tests."""


@dataclass(frozen=True, slots=True)
class Options:
    """Paths of one host's installation."""

    part: Part
    settings: Path
    state: Path
    """The store."""
    credentials: Path
    tls: Path
    """Certificates, a folder per host name with a `current` in it."""
    runtime: Path
    """Sockets between the processes, and challenges being answered."""
    rehearsal: Path | None = None
    """A file of DNS answers and detours instead of the world (`daemon.rehearsal`)."""


def load_settings(path: Path) -> HostSettings:
    """Reads the host's slice of the spec. Raises OperatorError."""
    cure = "deploy again: this file is written from the spec"
    try:
        return HostSettings.model_validate_json(path.read_bytes())
    except OSError as error:
        raise OperatorError(Reason(f"cannot be read: {error.strerror}", cure, str(path))) from error
    except ValidationError as error:
        raise OperatorError(
            *(
                Reason(f"{'.'.join(map(str, found['loc']))}: {found['msg']}", cure, str(path))
                for found in error.errors()
            )
        ) from error
