#!/usr/bin/env python3
"""Plays the scenarios of scenarios.py, kinds.py and namespaced.py with one client: play.py CLIENT ERRORS COMMAND... [+ COMMAND...] -- JAVA COMMAND... -- [SCENARIO...]

With a second command, behind the `+`, that client receives what the first one sends, and both are in a group together.
Prints a line for each as java/Interop.java does: `PASS name (details)`, `FAIL name reason` or `SKIP name reason`. A
scenario that needs a restart of the broker prints `RESTART` and waits for `DONE` or `NONE` on standard input.
"""

import sys
import time
import traceback

import kinds  # noqa: F401  Its scenarios join the others, as those of the next.
import namespaced  # noqa: F401
from scenarios import SCENARIOS
from stage import Skipped, Stage


def restart():
    print("RESTART", flush=True)
    return sys.stdin.readline().strip() == "DONE"


def played(stage, name):
    stage.scenario = name
    began = time.monotonic()
    try:
        details = SCENARIOS[name](stage)
    except Skipped as why:
        print(f"SKIP {name} {why}", flush=True)
    except Exception as why:
        traceback.print_exc()
        print(f"FAIL {name} {str(why)[:500]}", flush=True)
        return False
    else:
        print(f"PASS {name} ({details}; {(time.monotonic() - began) * 1000:.0f} ms)", flush=True)
    return True


def main():
    client, errors, *rest = sys.argv[1:]
    command, rest = rest[: rest.index("--")], rest[rest.index("--") + 1 :]
    java, wanted = rest[: rest.index("--")], rest[rest.index("--") + 1 :]
    unknown = [name for name in wanted if name not in SCENARIOS]
    if unknown:
        print(f"SKIP {unknown[0]} is no scenario of this client")
    command, receiver = (command[: command.index("+")], command[command.index("+") + 1 :]) if "+" in command else (command, None)
    stage = Stage(client, command, java, errors, restart, receiver)
    try:
        return all([played(stage, name) for name in SCENARIOS if not wanted or name in wanted])
    finally:
        stage.end()


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
