#!/usr/bin/env python3
"""Runs a command while another process keeps one processor busy all the time.

Usage: neighbour.py COMMAND...      (the last of the processors that this process may use is taken)
"""
import multiprocessing
import os
import signal
import subprocess
import sys


def spin(processor):
    os.sched_setaffinity(0, {processor})
    while True:
        pass


def main():
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    busy = multiprocessing.Process(target=spin, args=(max(os.sched_getaffinity(0)),), daemon=True)
    busy.start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # who ends this one also ends the neighbour
    try:
        raise SystemExit(subprocess.run(sys.argv[1:]).returncode)
    finally:
        busy.terminate()


if __name__ == "__main__":
    main()
