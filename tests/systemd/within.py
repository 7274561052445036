"""Run with the sandbox of gristmill.service, word by word, as its user: tries what the daemon must not be able to do.

Prints a line for each thing that it could do all the same, and ends with 1 then.
"""

import ctypes
import errno
import mmap
import os
import socket
import sys

libc = ctypes.CDLL(None, use_errno=True)
could = []


def refused(what, act, *errors):
    """The act must fail, with one of these errors."""
    try:
        act()
    except OSError as error:
        if errors and error.errno not in errors:
            could.append(f"{what}: another refusal than expected: {error}")
    else:
        could.append(what)


def call(number, *arguments):
    """A system call by its number on x86-64 or arm64."""
    ctypes.set_errno(0)
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def write(path):
    with open(path, "w") as file:
        file.write("x")


for folder in ["/", "/usr", "/usr/bin", "/etc", "/etc/gristmill", "/var", "/var/lib", "/var/log", "/try", "/opt", "/dev", "/boot"]:
    refused(f"write to {folder}", lambda: write(f"{folder}/it-was-here"), errno.EROFS, errno.EACCES)
for folder in ["/var/lib/gristmill", "/var/log/gristmill", "/tmp", "/var/tmp"]:
    write(f"{folder}/it-was-here")
    os.remove(f"{folder}/it-was-here")
refused("see /home", lambda: print(os.listdir("/home/ann")), errno.ENOENT, errno.EACCES)
refused("see /root", lambda: os.listdir("/root"), errno.EACCES)
refused("see the /tmp of others", lambda: os.stat("/tmp/of-others"), errno.ENOENT)
refused("see other processes", lambda: os.stat("/proc/1/status"), errno.ENOENT)
refused("see the kernel's settings", lambda: os.stat("/proc/sys"), errno.ENOENT)
refused("read the secrets of the environment", lambda: open("/etc/gristmill/env").read(), errno.EACCES)
refused("see a disk", lambda: os.stat("/dev/kmsg"), errno.ENOENT)
refused("signal other processes", lambda: os.kill(1, 0), errno.EPERM)
refused("become root", lambda: os.setuid(0), errno.EPERM)
refused("mount", lambda: call({"x86_64": 165}.get(os.uname().machine, 40), None, b"/tmp", b"tmpfs", 0, None), errno.EPERM)
refused("make a namespace", lambda: call({"x86_64": 272}.get(os.uname().machine, 97), 0x10000000), errno.EPERM)
refused("trace", lambda: call({"x86_64": 101}.get(os.uname().machine, 117), 16, 1, None, None), errno.EPERM)
refused("load a program into the kernel", lambda: call({"x86_64": 321}.get(os.uname().machine, 280), 0, None, 0), errno.EPERM)
refused("pack packets", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW), errno.EAFNOSUPPORT)
refused("speak to the kernel's network", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW), errno.EAFNOSUPPORT)
refused("run what it wrote", lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC), errno.EPERM, errno.EACCES)
refused("make a program that runs as another", lambda: os.chmod(os.open("/tmp/suid", os.O_CREAT), 0o4755), errno.EPERM)

with open("/proc/self/status") as file:
    status = dict(line.rstrip("\n").split(":\t", 1) for line in file)
for name, value in [("CapEff", "0" * 16), ("CapPrm", "0" * 16), ("CapBnd", "0" * 16), ("NoNewPrivs", "1"), ("Seccomp", "2")]:
    if status[name].strip() != value:
        could.append(f"{name} is {status[name]}")
if os.getuid() == 0:
    could.append("be root")

for line in could:
    print("within the sandbox one can still:", line)
sys.exit(1 if could else 0)
