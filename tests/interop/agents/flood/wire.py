"""Frames of RocketMQ's protocol, as little of them as a flood needs: requests, and the answers in a stream of bytes."""

import itertools
import json
import re
import socket
import struct

SEND, PULL, ROUTE, CONFIG, MAX_OFFSET = 310, 11, 105, 26, 30
SUCCESS, SYSTEM_BUSY = 0, 2
TOPIC = "Flood"
QUEUES = 4

opaques = itertools.count(1)
CODE = re.compile(rb'"code":(-?\d+)')
OPAQUE = re.compile(rb'"opaque":(-?\d+)')
REMARK = re.compile(rb'"remark":"([^"]*)"')


def frame(code, fields, body=b"", opaque=None):
    """A request."""
    header = {"code": code, "flag": 0, "language": "JAVA", "version": 401, "serializeTypeCurrentRPC": "JSON"}
    header["opaque"] = next(opaques) if opaque is None else opaque
    header["extFields"] = {name: str(value) for name, value in fields.items()}
    text = json.dumps(header).encode()
    return struct.pack(">II", 4 + len(text) + len(body), len(text)) + text + body


def send(topic, queue, body, opaque=None):
    """A message, which makes its topic where that is missing."""
    fields = {"a": "flood", "b": topic, "c": "TBW102", "d": QUEUES, "e": queue, "f": 0, "g": 0, "h": 0}
    return frame(SEND, fields | {"i": "", "j": 0, "k": "false", "m": "false"}, body, opaque)


def pull(topic, queue, position, hold_ms=0):
    """Asks for 32 messages, and waits for them where there are none."""
    fields = {"consumerGroup": "flood", "topic": topic, "queueId": queue, "queueOffset": position}
    fields |= {"maxMsgNums": 32, "sysFlag": 6 if hold_ms else 4, "commitOffset": 0, "suspendTimeoutMillis": hold_ms}
    return frame(PULL, fields | {"subscription": "*", "subVersion": 0, "expressionType": "TAG"})


class Answers:
    """Cuts answers out of what a connection brings."""

    def __init__(self):
        self.bytes = bytearray()

    def take(self, more):
        """(opaque, code, remark) of each whole answer; requests of the broker are passed over."""
        self.bytes += more
        at = 0
        while len(self.bytes) - at >= 8:
            length, header = struct.unpack_from(">II", self.bytes, at)
            if len(self.bytes) - at < 4 + length:
                break
            text = bytes(self.bytes[at + 8 : at + 8 + (header & 0xFFFFFF)])
            at += 4 + length
            code, opaque, remark = CODE.search(text), OPAQUE.search(text), REMARK.search(text)
            yield int(opaque[1]), int(code[1]), remark[1].decode() if remark else ""
        del self.bytes[:at]


def connect(address, source=None, receive_buffer=None, timeout=10):
    """A connection, from another of this machine's own addresses where one is named."""
    stream = socket.socket()
    stream.settimeout(timeout)
    if receive_buffer:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    if source:
        # The port is chosen when the other side is known: each address has all of them.
        stream.setsockopt(socket.IPPROTO_IP, getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24), 1)
        stream.bind((source, 0))
    stream.connect(address)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return stream


def ask(stream, request):
    """One request and its answer, on a connection that has nothing else under way: (code, remark)."""
    stream.sendall(request)
    answers = Answers()
    while True:
        more = stream.recv(65536)
        if not more:
            raise ConnectionError("closed before the answer")
        for _, code, remark in answers.take(more):
            return code, remark


def sources():
    """This machine's own addresses in turn, so that no one of them runs out of ports."""
    return itertools.cycle(f"127.0.1.{last}" for last in range(1, 201))
