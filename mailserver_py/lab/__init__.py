"""The lab: a whole site on one machine, with real Debian hosts, the DNS, an authority, and a stranger.

`lab.Lab` is the front: `up`, `down`, `host`, `new_host`, `inside`; `faults.Faults` breaks things; `mailserver lab`
is its command line. A site's spec is taken as it is (`site`), so that an operator can rehearse the own one.

Invariants:
- Nothing leaves a lab but apt's and pip's traffic to their registries, by rule in two places (`network`); what tried is
  counted and named.
- Everything a lab makes in the kernel carries its name (`names`); nothing is found by pid files, and `down` needs no
  file of the lab's (`remains`).
- No process is ended but those in the lab's own cgroups and network namespaces.
- A second `up` changes nothing that stands; one after a crash mends.
- Labs of different names share nothing but the read-only images and the hosts' SSH keys in the cache.
- Hosts get nothing that a provider would not give: no agent, no mount, no preinstalled part of ours.

What it is not: a security boundary (root on a host is nearly root here), and no measure of speed.

To add a server of the lab's own: an image in `images`, a file with its plan and `furnish`, its texts in `files/`, an
address in `names`, a step in `lab.Lab.up`. To add a fault: a method of `faults.Faults` that can be taken back.
"""
