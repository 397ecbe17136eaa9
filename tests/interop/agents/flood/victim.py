"""The well-behaved producer: victim.py HOST:PORT RATE. A message of 1 KiB is due every 1/RATE s, whatever comes of those before.

On each line `window SECONDS` of its input it sends for so long, and writes as JSON how it went. Times count from when a message
was due to its answer. It has four connections that stay, and makes a fresh one twice a second, as clients that come do.
"""

import json
import os
import select
import sys
import time

import wire

DEADLINE = 3.0
CONNECTIONS = 4


class Victim:
    def __init__(self, address, rate):
        self.address, self.rate = address, rate
        self.streams = [self.opened() for _ in range(CONNECTIONS)]
        self.answers = {stream.fileno(): wire.Answers() for stream in self.streams}
        self.body = os.urandom(1024)
        self.opaque = 0
        # Sends of windows that ended before their answers came.
        self.late = set()
        for stream in self.streams:
            code, remark = wire.ask(stream, wire.send(wire.TOPIC, 0, self.body))
            if code != wire.SUCCESS:
                raise SystemExit(f"the first send was answered with {code} {remark}")

    def opened(self):
        return wire.connect(self.address, timeout=DEADLINE)

    def window(self, seconds):
        """Sends for so long and waits for the answers."""
        due, times, wrong, fresh = {}, [], [], []
        poll = select.epoll()
        for stream in self.streams:
            poll.register(stream, select.EPOLLIN)
        begin = time.monotonic()
        count, total, next_fresh = 0, int(seconds * self.rate), begin + 0.25
        while count < total or due and time.monotonic() < begin + seconds + DEADLINE:
            now = time.monotonic()
            while count < total and begin + count / self.rate <= now:
                self.opaque += 1
                due[self.opaque] = begin + count / self.rate
                request = wire.send(wire.TOPIC, count % wire.QUEUES, self.body, self.opaque)
                try:
                    self.streams[count % CONNECTIONS].sendall(request)
                except TimeoutError:
                    raise SystemExit(f"the broker does not read a connection of the well-behaved producer for {DEADLINE:.0f} s")
                count += 1
            if now >= next_fresh and count < total:
                next_fresh += 0.5
                fresh.append(self.fresh(poll, due, times, wrong))
            wait = max(0, begin + count / self.rate - time.monotonic()) if count < total else 0.1
            self.receive(poll.poll(wait), due, times, wrong)
        wrong += [f"no answer within {DEADLINE:.0f} s"] * len(due)
        self.late |= due.keys()
        times.sort()
        at = lambda share: 1000 * times[min(len(times) - 1, int(len(times) * share))] if times else None
        # A fresh connection waits for its handshake and for one send.
        return {"sent": count, "p50": at(0.5), "p99": at(0.99), "longest": at(1), "fresh": 1000 * max(fresh, default=0), "wrong": wrong}

    def receive(self, ready, due, times, wrong):
        now = time.monotonic()
        for descriptor, _ in ready:
            stream = next(stream for stream in self.streams if stream.fileno() == descriptor)
            more = stream.recv(1 << 20)
            if not more:
                raise SystemExit("the broker closed a connection of the well-behaved producer")
            for opaque, code, remark in self.answers[descriptor].take(more):
                if opaque in self.late:
                    # It was told with its own window.
                    self.late.remove(opaque)
                    continue
                if opaque not in due:
                    raise SystemExit(f"send {opaque} was answered twice, at last with {code} {remark}")
                times.append(now - due.pop(opaque))
                if code != wire.SUCCESS:
                    wrong.append(f"answered with {code} {remark}")

    def fresh(self, poll, due, times, wrong):
        """How long a client that comes now waits until its first send is answered; the others go on meanwhile."""
        begin = time.monotonic()
        stream = None
        try:
            stream = self.opened()
            stream.sendall(wire.send(wire.TOPIC, 0, self.body))
            while not select.select([stream], [], [], 0)[0] and time.monotonic() < begin + DEADLINE:
                poll_ready = poll.poll(0.001)
                self.receive(poll_ready, due, times, wrong)
            for _, code, remark in wire.Answers().take(stream.recv(65536)):
                if code != wire.SUCCESS:
                    wrong.append(f"a fresh connection was answered with {code} {remark}")
        except OSError as error:
            wrong.append(f"a fresh connection failed: {error}")
        finally:
            if stream:
                stream.close()
        return time.monotonic() - begin


def main():
    host, _, port = sys.argv[1].rpartition(":")
    try:
        # It stands for another machine, so what floods this one may not take its turns.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        pass
    victim = Victim((host, int(port)), int(sys.argv[2]))
    for line in sys.stdin:
        print(json.dumps(victim.window(float(line.split()[1]))), flush=True)


if __name__ == "__main__":
    main()
