"""The package is for Linux, macOS and Windows: what one of them lacks stands under a guard that asks for it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "torchstat_cli"
FILES = sorted(PACKAGE.rglob("*.py"))

# What Python's documentation marks "Availability: Unix", or Windows.
_MODULES = """
    curses fcntl grp msvcrt nis ossaudiodev posix pty pwd readline resource spwd syslog termios tty winreg winsound
"""
_OS = """
    chown chroot ctermid fchmod fchown fork forkpty getegid geteuid getgid getgrouplist getgroups getloadavg getpgid
    getpgrp getpriority getresgid getresuid getsid getuid initgroups killpg lchown lockf mkfifo mknod nice openpty
    pidfd_open posix_fallocate posix_spawn pread preadv pwrite pwritev register_at_fork sched_getaffinity
    sched_setaffinity sched_yield sendfile setegid seteuid setgid setgroups setpgid setpriority setregid setsid setuid
    startfile statvfs sync sysconf tcgetpgrp tcsetpgrp ttyname uname wait wait3 wait4 waitid memfd_create getxattr
    setxattr listxattr removexattr O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK O_TMPFILE
    WEXITSTATUS WIFEXITED WIFSIGNALED WNOHANG WTERMSIG
"""
_SIGNAL = """
    SIGALRM SIGBUS SIGCHLD SIGCONT SIGHUP SIGIO SIGKILL SIGPIPE SIGPROF SIGQUIT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGUSR1
    SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU alarm getitimer pause pthread_kill pthread_sigmask setitimer sigpending
    sigtimedwait sigwait sigwaitinfo
"""
MODULES = frozenset(_MODULES.split())
ATTRIBUTES = {"os": frozenset(_OS.split()), "signal": frozenset(_SIGNAL.split())}
GUARDS = ("hasattr", "platform", "name='name'")  # hasattr(os, "fork"), sys.platform, os.name


def unguarded(tree: ast.AST) -> Iterator[str]:
    """Modules and names that not every system has, wherever nothing around them reckons with that."""
    if isinstance(tree, (ast.If, ast.IfExp)) and any(guard in ast.dump(tree.test) for guard in GUARDS):
        return
    if isinstance(tree, ast.Try) and any("AttributeError" in ast.dump(handler) for handler in tree.handlers):
        return
    yield from _named(tree)
    for node in ast.iter_child_nodes(tree):
        yield from unguarded(node)


def _named(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name.split(".")[0] in MODULES)
    elif isinstance(node, ast.ImportFrom):
        names = ATTRIBUTES.get(node.module or "", frozenset())
        yield from (f"{node.module}.{alias.name}" for alias in node.names if alias.name in names)
        if (node.module or "").split(".")[0] in MODULES:
            yield str(node.module)
    elif (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.attr in ATTRIBUTES.get(node.value.id, frozenset())
    ):
        yield f"{node.value.id}.{node.attr}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_that_only_some_systems_have(path: Path) -> None:
    assert list(unguarded(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import fcntl", ["fcntl"]),
        ("def late():\n    import resource", ["resource"]),
        ("from os import fork", ["os.fork"]),
        ("import signal\nLIMIT = signal.SIGALRM", ["signal.SIGALRM"]),
        ("def late():\n    os.killpg(1, signal.SIGKILL)", ["os.killpg", "signal.SIGKILL"]),
        ("class Late:\n    user = pwd = __import__\n    from pwd import getpwuid", ["pwd"]),
        ("if sys.platform == 'win32':\n    import msvcrt\nelse:\n    import fcntl", []),
        ("if hasattr(os, 'fork'):\n    os.fork()", []),
        ("count = os.sched_getaffinity(0) if hasattr(os, 'sched_getaffinity') else 1", []),
        ("try:\n    os.sysconf('x')\nexcept (AttributeError, OSError):\n    pass", []),
        ("try:\n    os.sysconf('x')\nexcept OSError:\n    pass", ["os.sysconf"]),
        ("import os\nos.kill(1, signal.SIGTERM)", []),
    ],
)
def test_the_wall_sees(code: str, found: list[str]) -> None:
    assert list(unguarded(ast.parse(code))) == found
