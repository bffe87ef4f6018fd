"""`mailserver export ACCOUNT FILE`: all data of an account as one archive, on the mail host.

What GDPR Articles 15 and 20 call access and portability. What is inside says `archive.py`.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import click

from ..errors import OperatorError, Reason, WorldError
from .host_store import as_owner, no_account, opened, settings_option, state_option
from .output import summary

if TYPE_CHECKING:
    from ..spec.settings import HostSettings
    from .archive import Archive

GZIP_LEVEL = 6
"""gzip's own default: 9 takes twice the time for a percent."""


@click.command("export")
@click.argument("account")
@click.argument("file", metavar="FILE.tar.zst|FILE.tar.gz", type=click.Path(path_type=Path))
@click.option("--log", "log_file", type=click.Path(path_type=Path), help="A file instead of the journal.")
@click.option(
    "--since", default="-14d", show_default=True, help="How far back in the log, as journalctl takes it."
)
@click.option("--without-log", is_flag=True, help="Leave the log out.")
@settings_option
@state_option
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
def command(
    *,
    account: str,
    file: Path,
    log_file: Path | None,
    since: str,
    without_log: bool,
    settings: Path,
    state: Path,
    as_json: bool,
) -> None:
    """Write all data of ACCOUNT into FILE: letters as Maildir with flags and dates, an index, settings, log lines.

    Works beside a running server. FILE must not exist and is readable by its maker alone. Exit status 1: a letter is
    missing or damaged in the store; the archive has the rest.
    """
    from ..daemon import trace
    from ..daemon.options import load_settings
    from .archive import README, Archive, dump, write_log
    from .trace import log_lines

    host = load_settings(settings)
    slice_of_it = settings_of(account, host)
    addresses = frozenset({account, *cast(list[str], slice_of_it["addresses"])})
    with (
        partial(file) as stream,
        tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        archive = Archive(tar, int(time.time()))
        archive.add("README.txt", README.encode())
        archive.add("settings.json", (json.dumps(slice_of_it, indent=2, ensure_ascii=False) + "\n").encode())
        if not without_log:
            with tempfile.TemporaryFile() as spool, log_lines(log_file, since) as lines:
                write_log(archive, trace.events_about(trace.parse_events(lines), account, addresses), spool)
        with as_owner(state):
            asyncio.run(run(state, account, archive))
    written = archive.written
    if as_json:
        click.echo(
            dump(
                {"account": account, "file": str(file)}
                | {name: getattr(written, name) for name in written.__slots__}
            )
        )
    else:
        rows = [
            ("mailboxes", str(written.mailbox_count)),
            ("letters", f"{written.message_count}, {written.size_bytes} octets"),
            ("expunged letters", str(written.expunged_count)),
            ("lines of the log", str(written.log_count)),
        ]
        summary(f"{account} is in {file}", rows)
    for name in written.damaged:
        click.echo(f"missing or damaged: {name}", err=True)
    if written.damaged:
        raise SystemExit(1)


async def run(state: Path, name: str, archive: Archive) -> None:
    """The letters. Raises OperatorError, WorldError."""
    from ..mailstore.values import NoSuchAccount, StoreError
    from .archive import write_mail

    async with opened(state) as store:
        try:
            keeping = await store.keeping(name)
            await write_mail(archive, name, await store.account(name), keeping)
        except NoSuchAccount:
            raise no_account(name) from None
        except StoreError as error:
            raise WorldError(str(error)) from error


def settings_of(name: str, host: HostSettings) -> dict[str, object]:
    """What the site says about an account; an account that the spec no longer has is said to be so."""
    account = host.accounts.get(name)
    addresses = sorted(address for address, targets in host.addresses.items() if name in targets)
    return {
        "account": name,
        "in_the_spec": account is not None,
        "settings": None if account is None else account.model_dump(mode="json"),
        "addresses": addresses,
        "retention": host.retention.model_dump(mode="json"),
    }


@contextmanager
def partial(file: Path) -> Iterator[IO[bytes]]:
    """A stream that compresses into FILE, which has its name only when it is whole. Raises OperatorError,
    WorldError."""
    if not file.name.endswith((".tar.zst", ".tar.gz")):
        raise OperatorError(
            Reason("the file's name says no known form", "end it in .tar.zst or .tar.gz", str(file))
        )
    if file.exists():
        raise OperatorError(Reason("exists already", "name another file", str(file)))
    part = file.with_name(file.name + ".part")
    try:
        handle = os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    except OSError as error:
        raise OperatorError(Reason(f"cannot be written: {error.strerror}", "", str(part))) from error
    try:
        with os.fdopen(handle, "wb") as raw:
            with compressed(file, raw) as stream:
                yield stream
            raw.flush()
            os.fsync(raw.fileno())
        part.replace(file)
    except OSError as error:
        raise WorldError(f"{file} cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            part.unlink()


@contextmanager
def compressed(file: Path, raw: IO[bytes]) -> Iterator[IO[bytes]]:
    """zstd is a program of the system: Python has it only from 3.14 on."""
    if file.name.endswith(".gz"):
        with gzip.GzipFile(filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=raw) as packed:
            yield cast(IO[bytes], packed)
        return
    try:
        packer = subprocess.Popen(["/usr/bin/zstd", "-q", "-c"], stdin=subprocess.PIPE, stdout=raw)
    except FileNotFoundError as error:
        cure = "install the package zstd, or end the file's name in .tar.gz"
        raise OperatorError(Reason("the program zstd is not here", cure)) from error
    assert packer.stdin is not None
    with packer:
        yield packer.stdin
        packer.stdin.close()
    if packer.returncode:
        raise WorldError(f"zstd failed with status {packer.returncode}")
