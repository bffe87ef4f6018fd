"""The files of a rehearsed site that the lab needs: keys to enter its hosts and to sign its updates.

A site that keeps what is generated in a folder of its own (`secrets.folder`, as inventories/lab does) gets its keys
made by `lab up`; nobody else's folder is written to.
"""

from __future__ import annotations

from pathlib import Path

from mailserver_py.errors import OperatorError, Reason
from mailserver_py.spec.keys import (
    Identities,
    SiteKeys,
    create_identity,
    import_secret,
    load_identities,
    make_keys,
)
from mailserver_py.spec.load import Site
from mailserver_py.spec.model import Ssh

from . import stranger
from .commands import attempt, run
from .host import Host
from .nameserver import TsigKey

IDENTITY = "identity.txt"


def generated_folder(site: Site) -> Path | None:
    """Where a site keeps what is generated, when that is a folder of its own."""
    return None if site.spec.secrets.folder in ("", ".") else site.folder / site.spec.secrets.folder


def identity_environment(site: Site) -> dict[str, str]:
    """What tells the other commands which identity opens the site's secrets, when the lab made it."""
    folder = generated_folder(site)
    identity = folder / IDENTITY if folder else None
    return {"MAILSERVER_IDENTITY": str(identity.resolve())} if identity and identity.exists() else {}


def identities(site: Site) -> Identities:
    """Who can open the site's secrets here."""
    return load_identities(identity_environment(site) or None)


def prepare(site: Site) -> None:
    """Make the keys that are missing, where the lab may; else say all that is missing."""
    folder = generated_folder(site)
    if folder is None:
        SiteKeys.load(site).require()
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / IDENTITY).exists():
        create_identity(folder / IDENTITY)
    for host in site.spec.hosts.values():
        key = site.folder / host.ssh.key if host.ssh.key else None
        if key is not None and folder in key.parents and not key.exists():
            run(
                [
                    "ssh-keygen",
                    "-q",
                    "-t",
                    "ed25519",
                    "-N",
                    "",
                    "-C",
                    f"operator of {site.name}",
                    "-f",
                    str(key),
                ]
            )
    who = identities(site)
    make_keys(site, identities=who)
    wanted = site.spec.verification.stranger
    if wanted is not None and (password := stranger.PASSWORDS.get(wanted.user.partition("@")[0])):
        keys = SiteKeys.load(site)
        if "stranger" not in keys.names() or keys.open("stranger", who).decode().strip() != password:
            import_secret(site, "stranger", password.encode(), identities=who)


def tsig_key(site: Site) -> TsigKey | None:
    """The key that the site's updates are signed with; the lab's name server takes it as the provider's would."""
    wish = site.spec.dns.rfc2136
    if site.spec.dns.publish != "rfc2136" or wish is None:
        return None
    secret = SiteKeys.load(site).open("tsig", identities(site)).decode().strip()
    return TsigKey(wish.key_name.rstrip("."), wish.algorithm, secret)


def admit(host: Host, ssh: Ssh, keys: str) -> None:
    """Before it boots: let the operator in by the port and the user that the spec names, as the real host would."""
    if ssh.port != 22:
        host.write("etc/ssh/sshd_config.d/lab.conf", f"Port 22\nPort {ssh.port}\n")
    if ssh.user != "root":
        host.in_chroot("useradd", "--create-home", "--shell", "/bin/bash", ssh.user)
        host.write(f"etc/sudoers.d/{ssh.user}", f"{ssh.user} ALL=(ALL) NOPASSWD: ALL\n", mode=0o440)
        home = f"home/{ssh.user}"
        host.write(f"{home}/.ssh/authorized_keys", keys, mode=0o600)
        host.in_chroot("chown", "-R", f"{ssh.user}:", f"/{home}/.ssh")


def authorized_keys(site: Site) -> str:
    """The public halves of the keys that the operator logs in with: the spec's, the agent's, and ~/.ssh."""
    lines = []
    for host in site.spec.hosts.values():
        if host.ssh.key:
            key = (site.folder / host.ssh.key).expanduser()
            public = key.with_name(f"{key.name}.pub")
            if public.exists():
                lines.append(public.read_text().strip())
            elif key.exists():
                lines.append(run(["ssh-keygen", "-y", "-P", "", "-f", str(key)]).strip())
            else:
                cure = "restore it, or name another in hosts.…ssh.key"
                raise OperatorError(Reason(f"the SSH key {key} is not there", cure, str(site.file)))
    agent = attempt(["ssh-add", "-L"])
    lines += agent.stdout.splitlines() if agent.returncode == 0 else []
    lines += [file.read_text().strip() for file in sorted((Path.home() / ".ssh").glob("*.pub"))]
    return "".join(f"{line}\n" for line in dict.fromkeys(lines) if line)
