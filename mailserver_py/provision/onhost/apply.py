"""Makes files, folders and links what standard input says they shall be; each at once, and on the disk.

Input: a JSON list, in order, of `{"path", "kind": "file" | "directory" | "link" | "absent", "owner", "group",
"mode", "content" (base64), "target"}`. A file is written beside its place, readable by root alone, given its owner
and mode, synced, and only then renamed: nobody ever sees half of it, and nobody sees a secret before its mode is
right. A run that is killed leaves at most a `.new` file, which the next one overwrites.
"""

from __future__ import annotations

import base64
import grp
import json
import os
import pwd
import shutil
import sys
from typing import Any


def remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def own(path: str, item: dict[str, Any]) -> None:
    os.chown(path, pwd.getpwnam(item["owner"]).pw_uid, grp.getgrnam(item["group"]).gr_gid)
    os.chmod(path, item["mode"])


def sync(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make(item: dict[str, Any]) -> None:
    path, kind = item["path"], item["kind"]
    beside = path + ".new"
    if kind == "absent":
        remove(path)
    elif kind == "directory":
        if not os.path.isdir(path) or os.path.islink(path):
            remove(path)
            os.makedirs(path, mode=0o700)
        own(path, item)
    elif kind == "link":
        remove(beside)
        os.symlink(item["target"], beside)
        os.replace(beside, path)
    else:
        remove(beside)
        if os.path.isdir(path) and not os.path.islink(path):
            remove(path)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(base64.b64decode(item["content"]))
            own(beside, item)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    sync(os.path.dirname(path) or "/")


def main() -> None:
    for item in json.load(sys.stdin):
        make(item)


main()
