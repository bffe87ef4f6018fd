"""pyinfra's door: `pyinfra inventories/<site>/hosts.py deploy.py -y`. Decides nothing.

`--dry` shows what would change. `--data release=previous` goes back to the release before this checkout's.
"""

from mailserver_py.provision.deployment import provision

provision()
