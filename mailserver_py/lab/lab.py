"""The lab as a whole: up, down, what stands; and the door into its network.

`up` makes what is missing and leaves alone what stands, so that a second one takes a moment, and one after a crash
mends. The order follows what each part needs of the others: network, name server, resolver, authority (whose root
every later host must believe), stranger, then the site's own zones and hosts.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from mailserver_py.errors import OperatorError, Reason
from mailserver_py.spec.load import Site

from . import authority, nameserver, preconditions, remains, site_files, stranger
from .authority import Authority
from .certificates import KeyPair, ensure_authority
from .commands import run
from .faults import Faults
from .host import MACHINE_BUNDLE, Host, HostPlan, host_key, machine_bundle
from .images import BOOKWORM, INFRASTRUCTURE, STRANGER_IMAGE, Image, Say, ensure_image, ensure_images
from .names import NAMESERVER, RESOLVER, STRANGER, Names, ipv6_of
from .nameserver import Nameserver, Zone
from .network import Network, Registry, lookup_registries
from .site import (
    derive_hosts,
    derive_reverse,
    derive_zones,
    free_address,
    nameserver_addresses,
    public_addresses,
)
from .site import stand_ins as derive_stand_ins
from .stranger import Stranger

# A host takes 7 inotify instances; Linux's default of 128 ends at 18 hosts.
INOTIFY = ("fs/inotify/max_user_instances", "1024")
FORWARDING = ("net/ipv4/ip_forward", "1")


@dataclass(frozen=True, slots=True)
class Step:
    """One part of `up`: what stands now, and how long that took."""

    name: str
    what: str
    seconds: float
    reused: bool


@dataclass
class Lab:
    """One lab of this machine."""

    names: Names
    say: Say = print
    """Hears of what takes long."""
    steps: list[Step] = field(default_factory=list)

    @cached_property
    def network(self) -> Network:
        return Network(self.names)

    @property
    def stands(self) -> bool:
        return self.network.stands

    @cached_property
    def nameserver(self) -> Nameserver:
        return Nameserver(self.host(nameserver.NAME))

    @cached_property
    def authority(self) -> Authority:
        return Authority(self.host(authority.NAME))

    @cached_property
    def stranger(self) -> Stranger:
        return Stranger(self.host(stranger.NAME))

    @cached_property
    def faults(self) -> Faults:
        return Faults(self.network)

    @property
    def holds(self) -> str | None:
        """The name of the site that it was last brought up for."""
        return self._held().get("site")

    # ---------------------------------------------------------------- whole

    def up(self, site: Site | None = None, *, image: Image = BOOKWORM) -> list[Step]:
        """Make everything stand: the lab's own servers, and `site`'s zones and hosts on fresh disks of `image`."""
        preconditions.check(site.name if site else "SITE")
        if site is not None:
            self._claim(site)
        self.steps = []
        with self._step("images") as step:
            made = ensure_images((INFRASTRUCTURE, STRANGER_IMAGE, image), self.say)
            step("base images and their layers", new=made)
        with self._step("network") as step:
            step("namespace, bridge, guarded uplink", new=self._ensure_network())
        lines = (self.names.state / "registries").read_text().splitlines()
        registries = [Registry.parse(line) for line in lines]
        with self._step("authority") as step:
            step(f"pebble, {authority.DIRECTORY}", new=self._ensure_authority(site))
        with self._step("dns") as step:
            step(f"knot {NAMESERVER}, unbound {RESOLVER}", new=self._ensure_nameserver(site, registries))
        with self._step("stranger") as step:
            step(f"Postfix and Dovecot of {stranger.DOMAIN}", new=self._ensure_stranger())
        if site is not None:
            self._ensure_site(site, image)
        self._note_host_keys({host.ssh.port for host in site.spec.hosts.values()} if site else ())
        return self.steps

    def must_be_root(self) -> None:
        """Raises `OperatorError` otherwise: namespaces and other users' hosts are not for everybody."""
        if os.geteuid() != 0:
            raise OperatorError(Reason("the lab belongs to root", "run it as root"))

    def down(self) -> remains.Remains:
        """Remove every trace, whatever state it is in; returns what could not be removed."""
        return remains.remove(self.names)

    # ---------------------------------------------------------------- its hosts

    def hosts(self) -> list[Host]:
        """All hosts, the lab's own first."""
        found = [Host.load(self.names, file.parent.name) for file in self.names.hosts.glob("*/host.json")]
        return sorted(found, key=lambda host: host.plan.address)

    def host(self, name: str) -> Host:
        """A host by its name, or by the first part of it."""
        hosts = self.hosts()
        for match in (name, f"{name}."):
            found = [
                h
                for h in hosts
                if h.plan.name == match or (match[-1] == "." and h.plan.name.startswith(match))
            ]
            if len(found) == 1:
                return found[0]
        known = ", ".join(host.plan.name for host in hosts) or "none"
        raise OperatorError(Reason(f"lab {self.names.lab} has no host {name!r}", f"it has: {known}"))

    def new_host(
        self, name: str, *, image: Image = BOOKWORM, address: IPv4Address | None = None, disk_bytes: int = 0
    ) -> Host:
        """Boot a fresh host beside the others; one of that name is replaced."""
        if not self.stands:
            raise OperatorError(
                Reason(f"lab {self.names.lab} does not stand", "run `mailserver lab up SITE`")
            )
        ensure_image(image, self.say)
        taken = {host.plan.address for host in self.hosts() if host.plan.name != name}
        host = Host(self.names, HostPlan(name, address or free_address(taken), image, disk_bytes=disk_bytes))
        self._lay(host, trust=self._trust)
        host.start()
        self._note_host_keys()
        return host

    # ---------------------------------------------------------------- the door

    def inside(self, argv: Sequence[str]) -> list[str]:
        """The command that runs `argv` in the lab: its network, resolver and certificates, this machine's files."""
        state = self.names.state
        script = f'mount --bind "$1" /etc/resolv.conf; mount --bind "$2" {MACHINE_BUNDLE}; shift 2; exec "$@"'
        files = [str(state / "resolv.conf"), str(state / "bundle.pem")]
        private = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh"]
        return self.network.inside([*private, *files, *argv])

    @property
    def environment(self) -> dict[str, str]:
        """What programs in the lab need to know beyond that."""
        state = self.names.state
        return {
            "MAILSERVER_LAB": self.names.lab,
            "SSL_CERT_FILE": str(state / "bundle.pem"),
            "MAILSERVER_KNOWN_HOSTS": str(state / "known_hosts"),
        }

    def run(self, *argv: str, stdin: str = "", timeout_s: float = 600) -> str:
        """Run a program in the lab's network; its standard output."""
        return run(self.inside(argv), stdin=stdin, extra=self.environment, timeout_s=timeout_s)

    # ---------------------------------------------------------------- parts of `up`

    @contextmanager
    def _step(self, name: str) -> Iterator[Callable[..., None]]:
        began = time.monotonic()

        def done(what: str, *, new: bool) -> None:
            self.steps.append(Step(name, what, time.monotonic() - began, not new))

        yield done

    def _claim(self, site: Site) -> None:
        """A lab holds one site at a time."""
        held = self._held()
        if self.stands and held.get("folder", str(site.folder.resolve())) != str(site.folder.resolve()):
            cure = f"`mailserver lab down {held['site']}` first, or give this one a name with --lab"
            raise OperatorError(Reason(f"lab {self.names.lab} holds site {held['site']!r}", cure))
        site_files.prepare(site)
        self.names.state.mkdir(parents=True, exist_ok=True)
        self._note.write_text(json.dumps({"site": site.name, "folder": str(site.folder.resolve())}))

    @property
    def _note(self) -> Path:
        return self.names.state / "site.json"

    def _held(self) -> dict[str, str]:
        return dict(json.loads(self._note.read_text())) if self._note.exists() else {}

    def _ensure_network(self) -> bool:
        if self.stands:
            return False
        # What a crash left without its network is of no use.
        if left := [line for line in remains.find(self.names).render() if not line.startswith("folders")]:
            self.say(f"removing what is left of an earlier lab ({len(left)} kinds of things)")
            held = self._note.read_text() if self._note.exists() else ""
            remains.remove(self.names)
            self.names.state.mkdir(parents=True, exist_ok=True)
            if held:
                self._note.write_text(held)
        self.names.state.mkdir(parents=True, exist_ok=True)
        for setting, value in (INOTIFY, FORWARDING):
            remains.set_machine(setting, value)
        registries = lookup_registries()
        lines = "".join(f"{registry.serialize()}\n" for registry in registries)
        (self.names.state / "registries").write_text(lines)
        self.network.create(registries)
        resolv = f"nameserver {RESOLVER}\noptions edns0 trust-ad timeout:2\n"
        (self.names.state / "resolv.conf").write_text(resolv)
        return True

    def _ensure_authority(self, site: Site | None) -> bool:
        host = Host(self.names, authority.plan())
        reused = self._reuse(host)
        if not reused:
            self._lay(host, trust=self._vouched.certificate)
            elsewhere = site is not None and derive_stand_ins(site.spec)
            directory = site.spec.tls.acme.directory if site and elsewhere else authority.DIRECTORY
            Authority(host).furnish(self._vouched, directory)
            host.start()
        self._believe(self._vouched.certificate + Authority(host).fetch_root())
        return not reused

    def _ensure_nameserver(self, site: Site | None, registries: Sequence[Registry]) -> bool:
        host = Host(self.names, nameserver.plan(nameserver_addresses(site.spec) if site else ()))
        server, new = Nameserver(host), False
        if not self._reuse(host):
            self._lay(host, trust=self._trust)
            server.furnish()
            host.start()
            new = True
        server.wait()
        zones: list[Zone] = []
        addresses: list[tuple[str, IPv4Address | IPv6Address]] = [
            (stranger.MX, STRANGER),
            (stranger.MX, ipv6_of(STRANGER)),
        ]
        if site is not None:
            if key := site_files.tsig_key(site):
                server.allow(key)
            zones += derive_zones(site.spec)
            addresses += public_addresses(site.spec)
        zones += derive_reverse(addresses)
        names = server.ensure_zones(zones)
        server.ensure_reverse(addresses, int(site.spec.dns.ttl) if site else 5)
        server.start_resolver(registries, zones, derive_stand_ins(site.spec) if site else ())
        return new or bool(names)

    def _ensure_stranger(self) -> bool:
        host = Host(self.names, stranger.plan())
        if self._reuse(host):
            return False
        self._lay(host, trust=self._trust)
        zone = Stranger(host).furnish(self._vouched)
        self.nameserver.ensure_zones([zone])
        host.start()
        Stranger(host).wait()
        return True

    def _ensure_site(self, site: Site, image: Image) -> None:
        def boot(plan: HostPlan) -> None:
            with self._step(plan.name) as step:
                host = Host(self.names, plan)
                new = not self._reuse(host)
                if new:
                    keys = site_files.authorized_keys(site)
                    self._lay(host, trust=self._trust, keys=keys)
                    site_files.admit(host, site.spec.hosts[plan.name].ssh, keys)
                    host.start()
                release = f"Debian {host.plan.image.release}"
                step(f"{release}, {' '.join(map(str, plan.addresses))}", new=new)

        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(boot, derive_hosts(site.spec, image)))

    def _note_host_keys(self, ports: Collection[int] = ()) -> None:
        """The keys of all hosts, for those who log in from the lab."""
        lines = []
        for host in self.hosts():
            _, public = host_key(host.plan.name)
            kind, key = public.read_text().split()[:2]
            for name in (host.plan.name, *map(str, host.plan.addresses)):
                lines.append(f"{name} {kind} {key}\n")
                lines += [f"[{name}]:{port} {kind} {key}\n" for port in ports if port != 22]
        (self.names.state / "known_hosts").write_text("".join(lines))

    def _lay(self, host: Host, *, trust: str, keys: str = "") -> None:
        host.create(self.network, authorized_keys=keys + self._own_key, trust=trust)

    def _reuse(self, host: Host) -> bool:
        """Whether a host is there as planned; one that is switched off is switched on."""
        if not host.exists or Host.load(self.names, host.plan.name).plan != host.plan:
            return False
        if host.leader is None:
            host.start()
        return True

    # ---------------------------------------------------------------- keys and certificates

    @cached_property
    def _vouched(self) -> KeyPair:
        return ensure_authority(self.names.state / "authority")

    @property
    def _trust(self) -> str:
        """What every host of the lab believes: its own authority and pebble's root."""
        return (self.names.state / "trust.pem").read_text()

    def _believe(self, trust: str) -> None:
        """Note what to believe; hosts that stand already learn it when it is new (pebble's root is, at each start)."""
        file = self.names.state / "trust.pem"
        if file.exists() and file.read_text() == trust:
            return
        (self.names.state / "bundle.pem").write_text(machine_bundle() + trust)
        file.write_text(trust)
        for host in self.hosts():
            host.believe(trust)

    @property
    def key(self) -> Path:
        """The lab's own SSH key; every host lets it in."""
        key = self.names.state / "key"
        if not key.exists():
            run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"lab {self.names.lab}", "-f", str(key)]
            )
        return key

    @property
    def _own_key(self) -> str:
        return self.key.with_suffix(".pub").read_text()
