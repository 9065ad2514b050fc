"""Several processes of one job, for the tests that start some."""

from __future__ import annotations

import socket
import subprocess


def free_address():
    """Of a port of this machine that nothing listens at."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{server.getsockname()[1]}"


def run_together(commands, *, env, folders):
    """What each command writes to stdout, run at one time, each in its folder."""
    workers = [
        subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command, folder in zip(commands, folders, strict=True)
    ]
    try:
        outputs = [worker.communicate(timeout=240) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    for worker, (_, errors) in zip(workers, outputs, strict=True):
        assert worker.returncode == 0, errors
    return [output for output, _ in outputs]
