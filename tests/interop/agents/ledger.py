"""What was sent and what came, by the body, which no two messages of a topic share."""

import base64
from collections import Counter

from desk import Failed

SHOWN = 4


class Message:
    def __init__(self, topic, body, tags=None, keys=None, properties=None, level=None, lane=None):
        self.topic, self.body, self.tags, self.keys, self.level, self.lane = topic, body, tags, keys, level, lane
        self.properties = properties or {}
        self.answer = {}

    def form(self):
        """As the commands `send` and `batch` have it."""
        form = {"topic": self.topic, "body": base64.b64encode(self.body).decode()}
        form.update((name, getattr(self, name)) for name in ("tags", "keys", "level", "lane"))
        form.update((f"p.{name}", value) for name, value in self.properties.items())
        return {name: value for name, value in form.items() if value is not None}


def short(body):
    return repr(body[:40]) + (f" of {len(body)} bytes" if len(body) > 40 else "")


def differences(message, arrival, can):
    """What a client that can tell such things received otherwise than it was sent."""
    pairs = [("topic", message.topic, arrival["topic"])]
    for name in ("tags", "keys"):
        if name in can:
            pairs.append((name, getattr(message, name) or "", arrival.get(name, "")))
    if "properties" in can:
        pairs += [(name, value, arrival.get(f"p.{name}")) for name, value in message.properties.items()]
    for name in ("queue", "offset"):
        if name in arrival and name in message.answer:
            pairs.append((name, message.answer[name], arrival[name]))
    return [f"{short(message.body)}: {name} is {is_!r} instead of {was!r}" for name, was, is_ in pairs if was != is_]


def missing(messages, arrivals):
    came = {arrival["body"] for arrival in arrivals}
    return [message for message in messages if message.body not in came]


def compare(messages, arrivals, can, repeats=False):
    """Each message came as it was sent, once unless repeats are right, and nothing else; returns how many came again."""
    sent = {message.body: message for message in messages}
    if len(sent) < len(messages):
        raise Failed("two messages with one body tell nothing")
    wrong = [f"{short(message.body)} is missing" for message in missing(messages, arrivals)]
    for arrival in arrivals:
        if arrival["body"] in sent:
            wrong += differences(sent[arrival["body"]], arrival, can)
        else:
            wrong.append(f"{short(arrival['body'])} was not expected")
    again = sum(Counter(arrival["body"] for arrival in arrivals).values()) - len({arrival["body"] for arrival in arrivals})
    if again and not repeats:
        wrong.append(f"{again} came more than once")
    if wrong:
        raise Failed(f"{len(wrong)} of {len(messages)} are wrong: {'; '.join(wrong[:SHOWN])}")
    return again
