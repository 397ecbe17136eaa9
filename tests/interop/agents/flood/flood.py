#!/usr/bin/env python3
"""Floods a server, and watches what a well-behaved producer sees of it:
flood.py WORK PID GROUP BROKER HTTP BOUND OPEN CONNECTS SLOW HALF SECONDS [ABUSE]...

GROUP is the folder of the server's control group. Each abuse has three windows of SECONDS, beside quiet ones before and after.
It fails where a send of the producer fails, where the server takes more memory than it may, or ends, and where an abuser is
treated otherwise than promised. With FLOOD_JUDGES_LATENCY it also fails where the producer's p99 of the middle window is more
than four times that of the quiet ones. Since whatever else the machine and its disk do counts as well, an abuse whose p99 is too
high is then played up to three times; a broker that lets one wait for the other does so each time.
"""

import json
import os
import statistics
import sys

from stage import Figures, Memory, line_of, program, read

RATE = 400
TIMES = 4
WINDOWS = 3
PLAYS = 3
# What a scheduler's turn on shared cores is: a quiet p99 below it counts as this much, in ms.
FLOOR = 3.0
JUDGES_LATENCY = bool(os.environ.get("FLOOD_JUDGES_LATENCY"))


class Flood:
    def __init__(self, work, pid, group, broker, http, bound):
        self.broker, self.bound, self.log = broker, bound, f"{work}/server.log"
        self.memory, self.figures = Memory(pid, group), Figures(http)
        self.victim = program("victim.py", broker, RATE)
        self.quiet, self.rows, self.wrong = [], [], []

    def window(self, seconds):
        self.victim.stdin.write(f"window {seconds}\n")
        self.victim.stdin.flush()
        return json.loads(line_of(self.victim))

    def rest(self, seconds):
        """A quiet window, which the others are held against."""
        window = self.window(seconds)
        self.quiet.append(window)
        self.note("quiet", [window], {})

    def limit(self):
        """What the producer's p99 may be, in ms."""
        return TIMES * max(FLOOR, statistics.median(window["p99"] for window in self.quiet))

    def abuse(self, title, *abuse):
        """Plays it until its p99 is as it may be, or too often."""
        for play in range(1, PLAYS + 1):
            p99 = self.play(title, *abuse)
            self.rest(abuse[2])
            if p99 <= self.limit():
                return
            if not JUDGES_LATENCY:
                print(f"{title}: p99 was {p99:.1f} ms, more than {self.limit():.1f}; the short form does not judge it", file=sys.stderr)
                return
            print(f"{title}: p99 was {p99:.1f} ms, and may be {self.limit():.1f}", file=sys.stderr)
        self.wrong.append(f"{title}: p99 was more than four times the quiet one in each of {PLAYS} plays, at last {p99:.1f} ms")

    def play(self, title, name, number, seconds, judge):
        before = self.figures.read()
        abuser = program("abuses.py", name, self.broker, number)
        line_of(abuser)
        windows = [self.window(seconds) for _ in range(WINDOWS)]
        abuser.stdin.close()
        seen = json.loads(line_of(abuser))
        abuser.wait()
        after = self.figures.read()
        self.note(title, windows, seen)
        for reason in judge(seen, before, after):
            self.wrong.append(f"{title}: {reason}")
        return statistics.median(window["p99"] or 0 for window in windows)

    def note(self, title, windows, seen):
        most = self.memory.taken()
        middle = {name: statistics.median(window[name] or 0 for window in windows) for name in ("p50", "p99", "fresh")}
        longest = max(window["longest"] or 0 for window in windows)
        self.rows.append((title, middle, longest, most, seen))
        failures = [reason for window in windows for reason in window["wrong"]]
        if failures:
            self.wrong.append(f"{title}: {len(failures)} sends of the producer failed, the first: {failures[0]}")
        if most["all"] > self.bound:
            self.wrong.append(f"{title}: the server took {most['all']} MiB, and may take {self.bound}")
        print(f"{title}: p99 {middle['p99']:.1f} ms, {dict(most)} MiB", file=sys.stderr, flush=True)

    def close(self):
        self.victim.stdin.close()
        self.victim.wait()
        if self.memory.kills():
            self.wrong.append("the kernel ended the server for want of memory")

    def report(self):
        print("| load | p50 ms | p99 ms | longest ms | fresh connection ms | own MiB | kernel MiB | sockets MiB |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|")
        for title, middle, longest, most, _ in self.rows:
            times = [middle["p50"], middle["p99"], longest, middle["fresh"]]
            memory = [str(most[name]) for name in ("own", "kernel", "sockets")]
            print("|", " | ".join([title, *(f"{time:.1f}" for time in times), *memory]), "|")
        print(f"p99 may be four times the median of the quiet windows', or of {FLOOR:.0f} ms: {self.limit():.1f} ms")
        for title, *_, seen in self.rows:
            if seen:
                print(f"{title}: " + ", ".join(f"{name} {number}" for name, number in seen.items()))


def all_stay(number):
    """All connections were made and answered, and none was closed; those beyond the limit were closed at once and counted."""

    def judge(seen, before, after):
        if seen["answered"] < number or seen["open at the end"] < number:
            yield f"of {number} connections {seen['answered']} were answered, {seen['open at the end']} stayed"
        refused = after["cuemq_connections_refused"] - before["cuemq_connections_refused"]
        if not seen["turned away"] or refused < seen["turned away"]:
            yield f"{seen['turned away']} were closed beyond the limit, and {refused:.0f} are counted"

    return judge


def all_answered(number):
    def judge(seen, before, after):
        if seen["answered"] < seen["connects"]:
            yield f"of {seen['connects']} connects {seen['answered']} were answered"
        if seen["a minute"] < number * 0.95:
            yield f"{seen['a minute']} connects a minute, and {number} were to be"

    return judge


def told(seen, before, after):
    """Whoever was closed was counted."""
    counted = sum(after[name] - before[name] for name in ("cuemq_connections_dropped", "cuemq_tls_refused"))
    if seen.get("closed by the broker") and not counted:
        yield f"{seen['closed by the broker']} were closed, and none is counted"


def as_promised(seen, before, after):
    """Back-pressure first, and then SYSTEM_BUSY with the cause; nothing else."""
    codes = {name for name in seen if name.startswith("code ")} - {"code 0", "code 2"}
    if codes or "closed by the broker" in seen:
        yield f"it was answered otherwise, or closed: {seen}"
    if seen.get("code 2") and not any(name.startswith("[OVERLOAD]") for name in seen):
        yield "SYSTEM_BUSY without a cause"
    if seen["MiB a second"] * 1024 < 10 * RATE:
        yield "nothing is shown: it sent less than ten times what the other producer sends"


def main():
    work, pid, group, broker, http, bound = sys.argv[1:7]
    number, minute, slow, half = map(int, sys.argv[7:11])
    seconds, only = float(sys.argv[11]), sys.argv[12:]
    flood = Flood(work, pid, group, broker, http, int(bound))
    flood.rest(seconds)
    for title, *abuse, judge in [
        (f"{number} open connections", "opened", number, seconds, all_stay(number)),
        (f"{minute} connects a minute", "connects", minute, max(seconds, 60 / WINDOWS if minute >= 50_000 else 0), all_answered(minute)),
        (f"{slow} slow readers", "slow", slow, seconds, told),
        (f"{half} half-open peers", "half", half, seconds, told),
        ("a producer with ten times its share", "share", 11 * RATE, seconds, as_promised),
        ("a greedy producer, 1 KiB", "greedy", 1, seconds, as_promised),
        ("a greedy producer, 64 KiB", "greedy", 64, seconds, as_promised),
    ]:
        if only and abuse[0] not in only:
            continue
        flood.abuse(title, *abuse, judge)
    flood.close()
    flood.report()
    said = read(flood.log)
    for line in ("too many connections", "others need the memory that it holds"):
        if line not in said and not only:
            flood.wrong.append(f"the log does not say: {line}")
    for reason in flood.wrong:
        print("FAIL", reason)
    sys.exit(1 if flood.wrong else 0)


if __name__ == "__main__":
    main()
