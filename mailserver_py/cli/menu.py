"""The menu of sub-commands: one row each, loaded only when asked for.

The rows are data so that `mailserver --help` imports no room, and so that a command that cannot be imported
(a mail host has fewer packages) hurts nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One sub-command: `mailserver <name>`, the click command `command` in `cli/<module>.py`."""

    name: str
    help: str
    module: str = ""
    """File in this folder; default: the name."""

    @property
    def path(self) -> str:
        """What importlib takes."""
        return f"{__package__}.{self.module or self.name}"


MENU = (
    Row("check", "Say everything that is wrong with a site's spec."),
    Row("schema", "Print the spec's JSON Schema, for editors."),
    Row("keys", "Make the keys and secrets that are missing."),
    Row("zone", "Print the DNS records that the spec implies."),
    Row("publish", "Compare the records with what is live, and send the difference."),
    Row("verify", "See whether the world matches the spec."),
    Row("status", "Show the host's last verification of itself."),
    Row("try", "Run the server here, unprivileged, and verify it.", module="try_"),
    Row("lab", "Rehearse a site on real Debian hosts on this machine."),
    Row("serve", "Run one role of the mail host (systemd does this)."),
    Row("certificate", "Obtain or renew the host's certificate (systemd does this)."),
    Row("trace", "Tell what became of a letter, by trace id or address."),
    Row("undelete", "Take back mail that was expunged, on the mail host."),
    Row("export", "Write all of an account's data into one archive, on the mail host."),
    Row("erase", "Remove every byte of an account that the spec no longer has, on the mail host."),
    Row("store", "Check the store for damage."),
)
"""In the order in which an operator meets them."""
