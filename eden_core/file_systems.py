"""Which kind of file system a file lies on."""

import ctypes
import os
from dataclasses import dataclass

NETWORK = {
    0x6969: "NFS",
    0xFF534D42: "CIFS",
    0xFE534D42: "SMB2",
    0x0BD00BD0: "Lustre",
    0x47504653: "GPFS",
    0x19830326: "BeeGFS",
    0x00C36400: "Ceph",
    0x65735546: "FUSE",
    0x01021997: "9P",
    0x5346414F: "AFS",
}
"""`f_type` of network file systems (linux/magic.h, and what those outside the kernel tree answer) -> name"""

LOCAL = {
    0xEF53: "ext4",
    0x58465342: "XFS",
    0x9123683E: "Btrfs",
    0x2FC12FC1: "ZFS",
    0xF2F52010: "F2FS",
    0x794C7630: "overlayfs",
    0x01021994: "tmpfs",
    0x858458F6: "ramfs",
    0x73717368: "SquashFS",
}
"""the same of file systems of one machine"""

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class FileSystem:
    """A kind of file system.

    Attributes:
        name: as people call it; its number in hexadecimal where that is not known here.
        network: whether reads go over a network, where each call is a round trip and a memory map may end a process.
    """

    name: str
    network: bool


def file_system_of(place: int | str | os.PathLike[str]) -> FileSystem:
    """Return the kind of file system that an open file (its descriptor) or a path lies on.

    Raises:
        OSError: the system does not say, such as where there is no such path.
    """
    found = (ctypes.c_long * 32)()  # struct statfs, whose first word is `f_type`
    ask, what = (_libc.fstatfs, place) if isinstance(place, int) else (_libc.statfs, os.fsencode(place))
    if ask(what, found):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(place))
    kind = found[0] & 0xFFFFFFFF
    return FileSystem(NETWORK.get(kind) or LOCAL.get(kind) or f"0x{kind:x}", kind in NETWORK)


def is_on_network(file: int) -> bool:
    """Return whether an open file lies on a network file system; a system that does not say counts as local."""
    try:
        return file_system_of(file).network
    except OSError:
        return False
