"""The two mail hosts that are measured: ours as a sandbox of the real daemon, theirs as Debian's Postfix and Dovecot.

Theirs: Postfix takes letters by SMTP and hands them to Dovecot by LMTP, which keeps them in sdbox. Every setting that
is not about where things lie is Debian's, but for those that would only stop the load: the limit of connections of one
address, the processes that may exist, and the lookup of the client's name. Both run in a process namespace of their
own, whose end is the end of all of their processes.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mailserver_py.daemon.options import Part
from mailserver_py.daemon.sandbox import Plan, Sandbox
from mailserver_py.spec.model import MailSpec
from mailserver_py.spec.settings import derive_settings

DOMAIN = "example.org"
PASSWORD = "benchmark"
ACCOUNTS = tuple(f"user{number}@{DOMAIN}" for number in range(20))
CONNECTION_COUNT = 10_000
WORKER_COUNT = 2
READY_S = 30.0


@dataclass(slots=True)
class MailHost:
    """One side: where it listens, and which processes it is."""

    name: str
    ports: dict[str, int]
    """`smtp`, `imap` and `imaps`."""
    roots: list[int] = field(default_factory=list)
    """Processes that were started; their descendants belong to the host too."""
    log: Path = Path("/dev/null")

    def processes(self) -> list[int]:
        """Every process of it."""
        parents = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError, IndexError):
                stat = (entry / "stat").read_text()
                parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
        found = set(self.roots)
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return sorted(found)

    def memory_bytes(self) -> int:
        """Proportional set size: pages that processes share are counted once among them (proc(5))."""
        total = 0
        for pid in self.processes():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
        return total


@contextlib.contextmanager
def ours() -> Iterator[MailHost]:
    """Our daemon: two workers and the queue, as on a host with two cores."""
    spec = MailSpec.model_validate(
        {
            "domains": {DOMAIN: {}},
            "hosts": {"mx1.example.org": {"ipv4": "127.0.0.1"}},
            "accounts": {account: {} for account in ACCOUNTS},
            "listeners": {"imap": True},
            "tls": {"source": "self-signed"},
            "limits": {"connections_per_address": CONNECTION_COUNT},
        }
    )
    settings = derive_settings(spec, "mx1.example.org", {})
    with tempfile.TemporaryDirectory(prefix="mailserver-bench-", ignore_cleanup_errors=True) as folder:
        parts = (*[Part.WORKER] * WORKER_COUNT, Part.QUEUE)
        plan = Plan(settings, dict.fromkeys(settings.accounts, PASSWORD), {}, parts=parts)
        sandbox = Sandbox(Path(folder), plan)
        sandbox.open()
        sandbox.write_rehearsal({}, {})
        sandbox.start()
        try:
            yield MailHost(
                "ours", sandbox.ports, [process.pid for process in sandbox.processes], sandbox.log_file
            )
        finally:
            sandbox.stop()


def why_not_theirs() -> str:
    """Why Postfix and Dovecot cannot be run here; empty when they can."""
    if os.geteuid() != 0:
        return "Postfix and Dovecot need root"
    programs = {"postfix": "postfix", "dovecot": "dovecot-imapd dovecot-lmtpd", "unshare": "util-linux"}
    missing = [package for program, package in programs.items() if shutil.which(program) is None]
    return f"not installed: {' '.join(missing)}" if missing else ""


@contextlib.contextmanager
def theirs() -> Iterator[MailHost]:
    """Postfix and Dovecot, as root in a folder of their own."""
    with tempfile.TemporaryDirectory(prefix="mailserver-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # its servers run as users of their own
        ports = dict(zip(("smtp", "imap", "imaps"), free_ports(3), strict=True))
        make_certificate(folder)
        write_postfix(folder, ports)
        write_dovecot(folder, ports)
        host = MailHost("theirs", ports, log=folder / "dovecot.log")
        started = []
        try:
            for command in (
                ["dovecot", "-F", "-c", str(folder / "dovecot.conf")],
                ["postfix", "-c", str(folder / "postfix"), "start-fg"],
            ):
                started.append(start(command, folder / "output.log"))
                host.roots.append(started[-1].pid)
            wait_for(ports.values(), folder)
            yield host
        finally:
            for process in started:
                # The first process of the namespace, with which all of it goes; unshare's own end does not reach it.
                for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                    os.kill(int(child), signal.SIGKILL)
                process.wait()
            time.sleep(0.2)  # the kernel is still ending what was in it


def start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """A process in a process namespace of its own, which does not outlive us."""
    spaces = ["unshare", "--pid", "--fork", "--kill-child=KILL"]
    guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    with log.open("ab") as output:
        return subprocess.Popen(
            [*guard, *spaces, *command], stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody uses now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def wait_for(ports: Iterable[int], folder: Path) -> None:
    """Until all ports answer. Raises RuntimeError with what the servers said."""
    end = time.monotonic() + READY_S
    for port in ports:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError as error:
                if time.monotonic() > end:
                    words = "".join(path.read_text() for path in sorted(folder.glob("*.log")))
                    raise RuntimeError(f"Postfix or Dovecot does not get ready:\n{words[-3000:]}") from error
                time.sleep(0.1)


def make_certificate(folder: Path) -> None:
    """ECDSA P-256, as ours."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=mx1.example.org"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(command, check=True, capture_output=True)


POSTFIX = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx1.{domain}
mydestination =
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = reject_unauth_destination
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
default_process_limit = 200
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = texthash:{folder}/recipients
virtual_transport = lmtp:unix:{folder}/lmtp
smtpd_tls_cert_file = {folder}/cert.pem
smtpd_tls_key_file = {folder}/key.pem
smtpd_tls_security_level = may
"""

POSTFIX_SERVICES = """\
{smtp} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def write_postfix(folder: Path, ports: dict[str, int]) -> None:
    """Its configuration and directories; it makes the queue's itself."""
    (folder / "postfix").mkdir()
    for name in ("queue", "data"):
        (folder / name).mkdir()
    os.chown(folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
    (folder / "recipients").write_text("".join(f"{account} ok\n" for account in ACCOUNTS))
    (folder / "postfix/main.cf").write_text(POSTFIX.format(folder=folder, domain=DOMAIN))
    services = POSTFIX_SERVICES.format(smtp=f"127.0.0.1:{ports['smtp']}")
    (folder / "postfix/master.cf").write_text(services)


DOVECOT = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
mail_location = sdbox:~/mail
mail_max_userip_connections = 10000
first_valid_uid = 1
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={folder}/homes/%u
}}
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  # Its documented high-performance mode: one login process serves many connections.
  service_count = 0
  process_min_avail = 2
  client_limit = 10000
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 10000
}}
service anvil {{
  client_limit = 20000
}}
service auth {{
  client_limit = 20000
}}
service lmtp {{
  unix_listener {folder}/lmtp {{
    mode = 0666
  }}
}}
"""


def write_dovecot(folder: Path, ports: dict[str, int]) -> None:
    """Its configuration and the folder of its users' mail."""
    (folder / "homes").mkdir()
    shutil.chown(folder / "homes", "mail", "mail")
    text = DOVECOT.format(folder=folder, password=PASSWORD, imap=ports["imap"], imaps=ports["imaps"])
    (folder / "dovecot.conf").write_text(text)
