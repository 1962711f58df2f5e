"""Close a process off: no network, no other programs, nothing written outside its folder."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from typing import Any

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38

REFUSED = {
    "socket.connect": "open a network connection",
    "socket.bind": "open a network connection",
    "socket.sendto": "open a network connection",
    "socket.getaddrinfo": "look up a network address",
    "socket.gethostbyname": "look up a network address",
    "socket.__new__": "open a socket",
    "subprocess.Popen": "start another program",
    "os.system": "start another program",
    "os.exec": "start another program",
    "os.posix_spawn": "start another program",
    "os.spawn": "start another program",
    "os.fork": "start another process",
    "os.forkpty": "start another process",
    "pty.spawn": "start another process",
    "os.kill": "stop another process",
    "os.killpg": "stop another process",
    "ctypes.dlopen": "load machine code",
    "ctypes.dlsym": "load machine code",
    "os.mkdir": "make a folder",
    "os.remove": "delete a file",
    "os.rmdir": "delete a folder",
    "os.rename": "rename a file",
    "os.link": "link a file",
    "os.symlink": "link a file",
    "os.truncate": "change a file",
    "os.chmod": "change a file",
    "os.chown": "change a file",
    "os.utime": "change a file",
    "os.setxattr": "change a file",
    "os.removexattr": "change a file",
    "shutil.rmtree": "delete a folder",
    "shutil.move": "move a file",
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC
INSIDE = {  # what may be done in the one folder, and how many of its arguments are paths
    "os.mkdir": 1,
    "os.remove": 1,
    "os.rmdir": 1,
    "os.rename": 2,
    "os.truncate": 1,
    "os.chmod": 1,
    "shutil.rmtree": 1,
}


def own_network() -> bool:
    """Move this process to a network namespace of its own, with nothing in it.

    Returns
    -------
    bool
        Whether the system let it; where not, `refuse` is what there is.
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if libc.unshare(CLONE_NEWNET) == 0:
        return True
    return bool(libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0)


def refuse(folder: str, raised: Callable[[str], BaseException]) -> None:
    """Refuse what a layer has no need of, for as long as this process lives.

    Parameters
    ----------
    folder : str
        The one place that may be written to.
    raised : callable
        Makes the error from what was tried.
    """
    home = os.path.realpath(folder) + os.sep
    realpath, fspath, isdir, devnull = os.path.realpath, os.fspath, os.path.isdir, os.devnull

    def outside(path: Any) -> bool:
        try:
            place = realpath(fspath(path))
        except (TypeError, ValueError):  # the number of an open file, which may be any
            return True
        text = place if isinstance(place, str) else place.decode("utf-8", "surrogateescape")
        return not (text.startswith(home) or text == devnull)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = args
            writes = bool(flags & WRITING) if isinstance(flags, int) else "r" not in (mode or "r")
            if isinstance(path, int):
                return
            # An open folder would do for a path that is not seen here (os.open's dir_fd).
            if (writes or (mode is None and isdir(path))) and outside(path):
                raise raised("write a file" if writes else "open a folder")
        elif event in REFUSED and (
            event not in INSIDE or any(outside(path) for path in args[: INSIDE[event]])
        ):
            raise raised(REFUSED[event])

    sys.addaudithook(hook)
