"""From a site's folder, at the operator's, to the world that the checks look at."""

from __future__ import annotations

import json

from mailserver_py.spec.address_plan import verification_account
from mailserver_py.spec.keys import SiteKeys, password_secret
from mailserver_py.spec.load import Site

from .assemble import assemble_world
from .world import Login, World


def world_of_site(site: Site) -> World:
    """The world from the operator's machine. Raises OperatorError when a secret cannot be read."""
    keys = SiteKeys.load(site)
    keys.require()
    spec = site.spec
    account = verification_account(spec)
    password = json.loads(keys.open(password_secret(account)))["password"]
    stranger_password = ""
    if spec.verification.stranger is not None:
        stranger_password = keys.open("stranger").decode("utf-8").rstrip("\n")
    return assemble_world(
        spec,
        keys.published,
        account=Login(account, password),
        stranger_password=stranger_password,
        folder=site.folder,
    )
