"""The abuses, each a program of its own: abuses.py NAME HOST:PORT NUMBER.

It writes READY when all of its connections are as they are to be, goes on until its input ends, and then writes as JSON what it
saw. None of them minds being closed; all come again.
"""

import collections
import errno
import json
import os
import select
import socket
import struct
import sys
import time

import wire

# What a TLS hello begins with; the rest never comes.
HELLO = bytes.fromhex("16030102000100") + bytes(100)
KIB = 1024
# How many more than the limit are tried.
BEYOND = 1000


class Crowd:
    """Connections that are looked after in turn."""

    def __init__(self, address):
        self.address, self.sources = address, wire.sources()
        self.poll = select.epoll()
        self.streams = {}
        self.seen = collections.Counter()

    def open(self, receive_buffer=None):
        """One more, or None where the broker does not take it now."""
        try:
            stream = wire.connect(self.address, next(self.sources), receive_buffer)
        except OSError as error:
            self.seen[f"not connected: {errno.errorcode.get(error.errno, error)}"] += 1
            return None
        self.seen["connected"] += 1
        stream.setblocking(False)
        self.streams[stream.fileno()] = stream
        return stream

    def watch(self, stream, events=select.EPOLLIN):
        self.poll.register(stream, events)

    def drop(self, stream):
        """Lets go of one that the broker has closed."""
        self.seen["closed by the broker"] += 1
        del self.streams[stream.fileno()]
        stream.close()

    def bury(self, seconds):
        """Waits so long, and lets go of those that the broker closes meanwhile."""
        for descriptor, events in self.poll.poll(seconds):
            stream = self.streams[descriptor]
            try:
                if not stream.recv(64 * KIB):
                    self.drop(stream)
            except BlockingIOError:
                pass
            except OSError:
                self.drop(stream)


def told_to_end(seconds=0):
    return bool(select.select([sys.stdin], [], [], seconds)[0])


def opened(address, number):
    """So many open connections. Each asks once for what it gets an answer to, and rests."""
    crowd = Crowd(address)
    for count in range(number):
        stream = crowd.open()
        if stream:
            stream.settimeout(10)
            try:
                wire.ask(stream, wire.frame(wire.MAX_OFFSET, {"topic": wire.TOPIC, "queueId": 0}))
                crowd.seen["answered"] += 1
                crowd.watch(stream)
            except (ConnectionError, TimeoutError):
                crowd.drop(stream)
    yield
    while not told_to_end():
        crowd.bury(0.1)
    crowd.seen["open at the end"] = len(crowd.streams)
    crowd.seen["turned away"] = sum(is_turned_away(crowd.open()) for _ in range(BEYOND))
    yield crowd.seen


def is_turned_away(stream):
    """Whether the broker closes it without a word."""
    if stream is None:
        return False
    stream.settimeout(0.002)
    try:
        return not stream.recv(1)
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def connects(address, number):
    """So many connects in a minute. Each asks once, and every other one ends by a reset."""
    seen, sources = collections.Counter(), wire.sources()
    begin = time.monotonic()
    yield
    while not told_to_end():
        seen["behind"] = max(seen["behind"], int((time.monotonic() - begin) * number / 60) - seen["connects"])
        if begin + seen["connects"] * 60 / number > time.monotonic():
            time.sleep(0.001)
            continue
        seen["connects"] += 1
        try:
            with wire.connect(address, next(sources)) as stream:
                if seen["connects"] % 2:
                    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                wire.ask(stream, wire.frame(wire.MAX_OFFSET, {"topic": wire.TOPIC, "queueId": 0}))
                seen["answered"] += 1
        except OSError as error:
            seen[f"failed: {error}"] += 1
    seen["a minute"] = int(seen["connects"] * 60 / (time.monotonic() - begin))
    yield seen


def slow(address, number):
    """So many that ask and ask and read a byte in a second: half of them pull 32 messages, half ask for the broker's settings."""
    crowd = Crowd(address)
    asks = [wire.pull(wire.TOPIC, 0, 0) * 64, wire.frame(wire.CONFIG, {}) * 64]
    kinds = {}

    def another(kind):
        stream = crowd.open(receive_buffer=4 * KIB)
        if stream:
            kinds[stream.fileno()] = kind
            push(stream)

    def push(stream):
        request = asks[kinds[stream.fileno()]]
        try:
            # A part of a request that did not fit would make no sense of the next ones, so only what fits is offered.
            for _ in range(64):
                if stream.send(request) < len(request):
                    kinds[stream.fileno()] = None
                    break
        except BlockingIOError:
            pass

    for count in range(number):
        another(count % 2)
    yield
    next_byte = time.monotonic() + 1
    while not told_to_end(max(0, next_byte - time.monotonic())):
        next_byte += 1
        for stream in list(crowd.streams.values()):
            kind = kinds[stream.fileno()]
            try:
                if kind is not None:
                    push(stream)
                if not stream.recv(1):
                    raise ConnectionError
                crowd.seen["bytes"] += 1
            except BlockingIOError:
                pass
            except OSError:
                crowd.drop(stream)
                another(crowd.seen["connected"] % 2)
    crowd.seen["open at the end"] = len(crowd.streams)
    yield crowd.seen


def half(address, number):
    """So many half-open peers: the beginning of something whose end never comes, or a request whose answer nobody takes."""
    crowd = Crowd(address)
    short = wire.send(wire.TOPIC, 0, bytes(120 * KIB))
    long = wire.send(wire.TOPIC, 0, bytes(1024 * KIB))
    beginnings = [b"", short[:3], short[: 100 * KIB], long[: 600 * KIB], HELLO, wire.pull(wire.TOPIC, 0, 1 << 40, 15_000)]
    left = {}

    def another():
        stream = crowd.open()
        if stream:
            left[stream.fileno()] = beginnings[crowd.seen["connected"] % len(beginnings)]
            crowd.watch(stream)
            push(stream)

    def push(stream):
        beginning = left.pop(stream.fileno(), b"")
        try:
            sent = stream.send(beginning)
            crowd.seen["KiB"] += sent // KIB
            if sent < len(beginning):
                left[stream.fileno()] = beginning[sent:]
        except BlockingIOError:
            left[stream.fileno()] = beginning
        except OSError:
            pass

    for _ in range(number):
        another()
    yield
    while not told_to_end():
        crowd.bury(0.1)
        for descriptor in list(left):
            if descriptor in crowd.streams:
                push(crowd.streams[descriptor])
            else:
                del left[descriptor]
        for _ in range(min(number - len(crowd.streams), 200)):
            another()
    crowd.seen["open at the end"] = len(crowd.streams)
    yield crowd.seen


def greedy(address, number):
    """One producer that sends as fast as its connection takes it, bodies of so many KiB."""
    stream = wire.connect(address)
    stream.setblocking(False)
    request = wire.send(wire.TOPIC, 0, os.urandom(number * KIB))
    load = memoryview(request * max(1, 512 * KIB // len(request)))
    seen, at, blocked = collections.Counter(), 0, 0.0
    poll = select.epoll()
    poll.register(stream, select.EPOLLIN | select.EPOLLOUT)
    begin = time.monotonic()
    yield
    while not told_to_end():
        before = time.monotonic()
        events = dict(poll.poll(0.1)).get(stream.fileno(), 0)
        if events & select.EPOLLIN:
            more = stream.recv(1024 * KIB)
            if not more:
                seen["closed by the broker"] += 1
                break
            for code in wire.CODE.findall(more):
                seen[f"code {code.decode()}"] += 1
            for remark in wire.REMARK.findall(more):
                seen[remark.decode()[:40]] += 1
        if events & select.EPOLLOUT:
            at = (at + stream.send(load[at:])) % len(load)
        else:
            blocked += time.monotonic() - before
    elapsed = time.monotonic() - begin
    seen["MiB a second"] = int(seen["code 0"] * number / KIB / elapsed)
    seen["percent of the time not taken"] = int(100 * blocked / elapsed)
    yield seen


def share(address, number):
    """One producer that sends so many messages of 1 KiB in a second, a batch of them each 10 ms."""
    stream = wire.connect(address)
    request = wire.send(wire.TOPIC, 0, os.urandom(KIB))
    seen, sent = collections.Counter(), 0
    begin = time.monotonic()
    yield
    while not told_to_end():
        due = int((time.monotonic() - begin) * number) - sent
        if due > 0:
            stream.sendall(request * due)
            sent += due
        if select.select([stream], [], [], 0.01)[0]:
            for code in wire.CODE.findall(stream.recv(1024 * KIB)):
                seen[f"code {code.decode()}"] += 1
    # What was sent, since answers may be under way.
    seen["MiB a second"] = round(sent / KIB / (time.monotonic() - begin), 2)
    yield seen


ABUSES = {abuse.__name__: abuse for abuse in (opened, connects, slow, half, share, greedy)}


def main():
    name, address, number = sys.argv[1:]
    host, _, port = address.rpartition(":")
    abuse = ABUSES[name]((host, int(port)), int(number))
    next(abuse)
    print("READY", flush=True)
    print(json.dumps(dict(next(abuse))), flush=True)


if __name__ == "__main__":
    main()
