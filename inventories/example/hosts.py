"""This site's hosts, for pyinfra; what they are stands in mail.yaml beside this file."""

from mailserver_py.provision.inventory import hosts as _hosts

mail = _hosts(__file__)
