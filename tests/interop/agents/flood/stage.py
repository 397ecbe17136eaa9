"""What a flood is watched by: the server's process, its control group, its log and its figures."""

import collections
import os
import re
import subprocess
import sys
import threading
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
MIB = 1 << 20


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


class Memory:
    """Samples what the server holds, ten times a second: its own memory, and the kernel's on its behalf, as MiB."""

    def __init__(self, pid, group):
        self.pid, self.group = pid, group
        self.most = collections.Counter()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ended.wait(0.1):
            self.sample()

    def sample(self):
        own = re.search(r"^RssAnon:\s*(\d+) kB", read(f"/proc/{self.pid}/status"), re.MULTILINE)
        now = {"own": int(own[1]) * 1024 if own else 0}
        for name, files in {"kernel": ["memory.kmem.usage_in_bytes"], "sockets": ["memory.kmem.tcp.usage_in_bytes"]}.items():
            now[name] = sum(int(read(f"{self.group}/{file}") or 0) for file in files)
        for line in read(f"{self.group}/memory.stat").splitlines():
            name, _, number = line.partition(" ")
            # Version 2 counts sockets apart from the rest of the kernel's memory, as version 1 does by its own files.
            if name in ("kernel", "sock"):
                now["sockets" if name == "sock" else name] = int(number)
        now["all"] = sum(now.values())
        for name, number in now.items():
            self.most[name] = max(self.most[name], number // MIB)

    def taken(self):
        """The most of each since the last time."""
        most, self.most = self.most, collections.Counter()
        return most

    def kills(self):
        """How often the kernel ended a process of the group for want of memory."""
        text = read(f"{self.group}/memory.events") + read(f"{self.group}/memory.oom_control")
        return sum(int(number) for number in re.findall(r"^oom_kill (\d+)", text, re.MULTILINE))


class Figures:
    """What /metrics says."""

    def __init__(self, http):
        self.url = f"http://{http}/metrics"

    def read(self):
        # No proxy stands between a machine and itself.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.url, timeout=30) as answer:
            text = answer.read().decode()
        found = collections.Counter()
        for line in text.splitlines():
            name, _, value = line.rpartition(" ")
            if name.startswith("cuemq_"):
                found[name.partition("{")[0].removesuffix("_total")] += float(value)
        return found


def program(name, *arguments):
    """One of the programs beside this one, with pipes."""
    command = [sys.executable, f"{HERE}/{name}", *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def line_of(process):
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"{process.args[1]} ended with status {process.wait()}")
    return line
