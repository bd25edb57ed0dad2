"""Runs a command and says what it took: seconds, the most memory at a time, bytes read from files.

    measure.py NAME COMMAND…

The bytes are those that the process asked of the system (`rchar`), whether from the disk or its cache.
"""

import resource
import subprocess
import sys
import time


def main() -> int:
    name, command = sys.argv[1], sys.argv[2:]
    start, read = time.monotonic(), 0
    process = subprocess.Popen(command)
    while True:
        try:
            with open(f"/proc/{process.pid}/io") as file:
                read = int(file.readline().split()[1])
        except OSError:
            pass  # it has ended, or the system keeps no such count
        if process.poll() is not None:
            break
        time.sleep(0.05)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    seconds = time.monotonic() - start
    print(f"{name}: {seconds:.0f} s, at most {peak / 1e6:.2f} GB, {read / 1e9:.1f} GB read", flush=True)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


if __name__ == "__main__":
    sys.exit(main())
