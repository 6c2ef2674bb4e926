# processes: what this run starts, and nothing else, ends with it.
import ctypes
import os
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
STOP_PATIENCE = 15.0
_libc = ctypes.CDLL(None)


class Failed(Exception):
    """What was to be measured could not be; the text says why."""


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(command, log, cwd=None, environment=None):
    """A server in a session of its own, so that Ctrl-C reaches only us; its output goes to `log`."""
    with open(log, "ab") as out:
        return subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out,
                                stderr=out, cwd=cwd, env=environment, start_new_session=True,
                                preexec_fn=_die_with_parent)


def stop(processes):
    for process in processes:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + STOP_PATIENCE
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def output_of(command, bound, environment=None):
    """Standard output of a command that must succeed within `bound` seconds."""
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
                               text=True, start_new_session=True, preexec_fn=_die_with_parent)
    try:
        out, error = process.communicate(timeout=bound)
    except subprocess.TimeoutExpired:
        raise Failed(f"{command[0]} did not end in {bound:.0f} s") from None
    finally:
        stop([process])
    if process.returncode != 0:
        raise Failed(f"{os.path.basename(str(command[0]))}: {error.strip()[-300:]}")
    return out


def wait_until(condition, what, bound=60.0):
    deadline = time.monotonic() + bound
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise Failed(f"{what}: not within {bound:.0f} s")
        time.sleep(0.1)


def free_ports(count):
    """Ports below those that the kernel gives to outgoing connections."""
    first_local = int(open("/proc/sys/net/ipv4/ip_local_port_range").read().split()[0])
    ports = []
    for port in range(first_local - 1, 1024, -1):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise Failed("no free ports")
