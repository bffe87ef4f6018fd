"""A host of the lab: a real Debian with its own systemd, booted by systemd-nspawn in a third of a second.

What it has that a rented server has: SSH with the operator's key, a host name, a resolver, addresses, root; nothing of
ours. It is no security boundary: root on it is root on the machine, minus some capabilities.

A host is found again by its files (`host.json`) and the kernel (its cgroup); nothing else is kept about it.
"""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from mailserver_py.errors import WorldError

from . import cgroups
from .commands import attempt, leave_running, run
from .disk import Disk
from .images import Image
from .names import CACHE, NAMESPACES, RESOLVER, Names, ipv6_of
from .network import Network

# A host boots in 0.3 to 0.6 s here; a machine that needs half a minute is not going to.
BOOT_S = 30.0

# Where Debian keeps what is believed, on this machine and on the hosts.
MACHINE_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")

# Debian 13's systemd refuses the old cgroup hierarchies; hosts may set network sysctls, as a server may.
NSPAWN_SETTINGS = {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}


@dataclass(frozen=True, slots=True)
class HostPlan:
    """What makes one host different from another."""

    name: str
    address: IPv4Address
    """Its address in the lab; the IPv6 one follows from it."""
    image: Image
    further: tuple[IPv4Address | IPv6Address, ...] = ()
    """More addresses: a rehearsed site's public ones."""
    disk_bytes: int = 0
    """Size of a virtual disk that can be filled and can lose power; 0: the machine's file system."""

    @property
    def addresses(self) -> tuple[IPv4Address | IPv6Address, ...]:
        own = (self.address, ipv6_of(self.address))
        return (*own, *(address for address in self.further if address not in own))

    def serialize(self) -> str:
        image = {"name": self.image.name, "release": self.image.release, "layers": self.image.layers}
        return json.dumps({
            "name": self.name,
            "address": str(self.address),
            "image": {**image, "saved": self.image.saved},
            "further": [str(address) for address in self.further],
            "disk_bytes": self.disk_bytes,
        })  # fmt: skip

    @classmethod
    def parse(cls, text: str) -> HostPlan:
        read = json.loads(text)
        image = read["image"]
        layers = tuple(tuple(packages) for packages in image["layers"])
        return cls(
            name=read["name"],
            address=IPv4Address(read["address"]),
            image=Image(image["name"], image["release"], layers, image["saved"]),
            further=tuple(ip_address(address) for address in read["further"]),
            disk_bytes=read["disk_bytes"],
        )


@dataclass(frozen=True)
class Host:
    """One host of one lab."""

    names: Names
    plan: HostPlan

    @classmethod
    def load(cls, names: Names, name: str) -> Host:
        return cls(names, HostPlan.parse((names.hosts / name / "host.json").read_text()))

    @cached_property
    def id(self) -> str:
        """Its name in the kernel."""
        return self.names.host(self.plan.name)

    @cached_property
    def folder(self) -> Path:
        return self.names.hosts / self.plan.name

    @cached_property
    def disk(self) -> Disk:
        return Disk(self.folder, self.plan.image, self.id, self.plan.disk_bytes)

    @property
    def root(self) -> Path:
        return self.disk.root

    @property
    def port(self) -> str:
        """Its cable's end at the bridge."""
        return f"v{self.plan.address.packed[3]}"

    @property
    def console(self) -> Path:
        return self.folder / "console.log"

    @property
    def exists(self) -> bool:
        return (self.folder / "host.json").exists()

    @property
    def leader(self) -> int | None:
        return cgroups.leader(self.id)

    # ---------------------------------------------------------------- its life

    def create(self, network: Network, *, authorized_keys: str, trust: str) -> None:
        """Lay the disk and the cable; `trust` are the certificates, in PEM, that the host shall believe."""
        if self.folder.exists():
            self.remove(network)
        self.disk.create()
        self._furnish(authorized_keys, trust)
        network.plug(self.plan.name, self.plan.addresses, self.port)

    def start(self) -> float:
        """Boot, and wait until SSH listens. Returns the seconds it took."""
        began = time.monotonic()
        self.disk.mount()
        # Not before: a host that was never switched on may be half furnished, and is made anew.
        (self.folder / "host.json").write_text(self.plan.serialize())
        self.disk.settle()
        nspawn = [
            *("nsenter", f"--net={NAMESPACES / self.names.namespace}"),
            *("systemd-nspawn", "--quiet", "--boot", "--directory", str(self.root)),
            *("--register=no", "--keep-unit", "--machine", self.id, "--hostname", self._short_name),
            f"--network-namespace-path={NAMESPACES / self.id}",
            # Never all capabilities: a host could set this machine's clock.
            *("--capability=CAP_NET_ADMIN", "--system-call-filter=@keyring bpf"),
            *("--resolv-conf=off", "--link-journal=no", "--timezone=off", "--console=read-only"),
        ]
        leave_running(cgroups.joining(self.id, nspawn), log=self.console, extra=NSPAWN_SETTINGS)
        self.wait_listening(22)
        return time.monotonic() - began

    def kill(self) -> None:
        """Everything on it dies at once, as when the power goes; its disk keeps what was written."""
        cgroups.kill(self.id)

    def shut_down(self) -> None:
        """The orderly way, by its own systemd."""
        attempt(self.inside(["systemctl", "poweroff"]))
        self.wait(lambda: self.leader is None, "it did not shut down")
        cgroups.kill(self.id)

    def lose_power(self) -> float:
        """Kill it, forget every write that was not durable, and boot it again."""
        if not self.plan.disk_bytes:
            raise WorldError(f"{self.plan.name} has no disk of its own; make it with --disk")
        self.kill()
        self.disk.lose_power()
        return self.start()

    def save(self, target: Path) -> Image:
        """Shut down, keep the disk as an image for later hosts, and boot again."""
        self.shut_down()
        self.disk.save(target)
        (target / "etc/machine-id").unlink(missing_ok=True)
        self.start()
        image = self.plan.image
        return Image(image.name, image.release, image.layers, str(target))

    def remove(self, network: Network) -> None:
        self.kill()
        network.unplug(self.plan.name, self.port)
        self.disk.remove()
        cgroups.remove(self.id)

    # ---------------------------------------------------------------- on it

    def inside(self, argv: Sequence[str]) -> list[str]:
        """The command that runs `argv` on the host as root, without SSH."""
        pid = self.leader
        if pid is None:
            raise WorldError(f"{self.plan.name} does not run; see {self.console}")
        spaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        return ["nsenter", "--target", str(pid), *spaces, f"--root=/proc/{pid}/root", "--wd=/", *argv]

    def run(self, *argv: str, stdin: str = "", timeout_s: float = 120) -> str:
        """Run a program on the host; its standard output. `WorldError` when it fails."""
        return run(self.inside(argv), stdin=stdin, timeout_s=timeout_s)

    def attempt(
        self, *argv: str, stdin: str = "", timeout_s: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on the host, whatever comes of it."""
        return attempt(self.inside(argv), stdin=stdin, timeout_s=timeout_s)

    def in_chroot(self, *argv: str) -> str:
        """Run a program on the host's disk before the host boots."""
        return run(["chroot", str(self.root), *argv])

    def write(self, path: str, text: str, *, mode: int = 0o644) -> None:
        """Write a file on the host's disk."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def believe(self, trust: str) -> None:
        """Put certificates (PEM) into its bundle, as update-ca-certificates would, in place of earlier ones."""
        # The machine's own too: the mirror it is set to may need them.
        self.write(str(MACHINE_BUNDLE), machine_bundle() + trust)
        for number, pem in enumerate(trust.split("-----END CERTIFICATE-----\n")[:-1], start=1):
            whole = f"{pem}-----END CERTIFICATE-----\n"
            self.write(f"usr/local/share/ca-certificates/lab-{number}.crt", whole)

    def listens(self, port: int) -> bool:
        """Whether something on the host listens on a TCP port, by the kernel's own table."""
        pid, wanted = self.leader, f":{port:04X}"
        if pid is None:
            return False
        for table in ("tcp", "tcp6"):
            try:
                lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
            except OSError:
                return False
            # Columns: slot, local address, remote address, state; 0A is LISTEN (proc(5)).
            if any(line.split()[1].endswith(wanted) and line.split()[3] == "0A" for line in lines):
                return True
        return False

    def wait_listening(self, port: int, limit_s: float = BOOT_S) -> None:
        self.wait(lambda: self.listens(port), f"nothing listens on port {port}", limit_s)

    def wait(self, ready: Callable[[], bool], trouble: str, limit_s: float = BOOT_S) -> None:
        """Until something is so; `WorldError`, saying the trouble, when it is not in time."""
        deadline = time.monotonic() + limit_s
        while not ready():
            if time.monotonic() > deadline:
                raise WorldError(f"{self.plan.name}: {trouble} after {limit_s:.0f} s; see {self.console}")
            time.sleep(0.01)

    # ---------------------------------------------------------------- inner parts

    @property
    def _short_name(self) -> str:
        return self.plan.name.partition(".")[0]

    def _furnish(self, authorized_keys: str, trust: str) -> None:
        """What a provider's installer sets."""
        name, short = self.plan.name, self._short_name
        self.write("etc/hostname", f"{short}\n")
        # Without an id, systemd-firstboot would ask questions on a console that nobody reads.
        self.write("etc/machine-id", f"{secrets.token_hex(16)}\n", mode=0o444)
        self.write("etc/hosts", f"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {name} {short}\n")
        self.write("etc/resolv.conf", f"nameserver {RESOLVER}\noptions edns0 trust-ad\n")
        (self.root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
        self.write("root/.ssh/authorized_keys", authorized_keys, mode=0o600)
        self.believe(trust)
        for file in host_key(name):
            target = self.root / "etc/ssh" / file.name
            shutil.copyfile(file, target)
            target.chmod(0o644 if file.suffix == ".pub" else 0o600)


def machine_bundle() -> str:
    """The certificates that this machine believes, in PEM."""
    return MACHINE_BUNDLE.read_text() if MACHINE_BUNDLE.exists() else ""


def host_key(name: str) -> tuple[Path, Path]:
    """A host's SSH key, private and public half: the same one each time a host of that name is made.

    Operators pin host keys; a lab that comes and goes must not look like an attack each time.
    """
    folder = CACHE / "host-keys" / name
    private = folder / "ssh_host_ed25519_key"
    if not private.exists():
        folder.mkdir(parents=True, exist_ok=True)
        folder.parent.chmod(0o700)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(private)])
    return private, private.with_name(f"{private.name}.pub")
