"""What a scenario is played with: a client, a second program of it, and a Java client where the first cannot do something."""

import os
import time

from desk import Agent, Failed
from ledger import Message, compare, missing
from pair import Pair

RUN = f"{os.getpid():x}{int(time.time()):x}"


class Skipped(Exception):
    """A scenario that this client cannot play."""


class Stage:
    def __init__(self, name, command, java, errors, restart, receiver=None):
        """With the command of a receiver, that client receives what the first one sends, and further programs are of the first."""
        self.name, self.command, self.java, self.errors, self.restart = name, command, java, errors, restart
        # The release of a Java broker that is played on.
        self.broker = os.environ.get("CUEMQ_JAVA_BROKER")
        self.scenario = "none"
        self.started = 0
        self.agents = []
        self.reference = None
        self.agent = self.pair(receiver) if receiver else self.program()

    def program(self):
        """Starts another program of the client."""
        agent = Agent(self.name, self.command + [f"{self.name}-{RUN}-{len(self.agents)}"], self.errors)
        self.agents.append(agent)
        return agent

    def pair(self, receiver):
        agent = Pair(self.name, self.command + [f"{self.name}-{RUN}-sends"], receiver + [f"{self.name}-{RUN}-receives"], self.errors)
        self.agents.append(agent)
        return agent

    def helper(self):
        """The Java client that makes topics and reads them where the client cannot."""
        if self.reference is None:
            self.reference = Agent("Java", self.java + [f"helper-{self.name}-{RUN}"], self.errors)
            self.agents.append(self.reference)
            self.reference.call("producer", name="maker", group=f"makers-{self.name}-{RUN}")
        return self.reference

    def end(self):
        for agent in self.agents:
            agent.end()

    def needs(self, *abilities):
        for ability in abilities:
            if ability not in self.agent.can:
                raise Skipped(f"this client has no {ability}")

    def group(self, what):
        return f"{what}-{self.scenario}-{self.name}-{RUN}".replace(".", "-")

    def topic(self, what="topic"):
        """A new topic; where the client's first send makes none, with the message that made it."""
        topic = self.group(what)
        if "creates-topics" in self.agent.can:
            return topic, []
        first = Message(topic, b"the message that made the topic")
        first.answer = self.helper().answer(self.helper().send("maker", "sync", first))
        return topic, [first]

    def narrow_topic(self, what="topic"):
        """A new topic with one queue, and the message that made it."""
        topic, helper = self.group(what), self.helper()
        self.started += 1
        maker = f"maker-{self.started}"
        helper.call("producer", name=maker, group=self.group("makers"), queues=1)
        first = Message(topic, b"the message that made the topic")
        first.answer = helper.answer(helper.send(maker, "sync", first))
        return topic, [first]

    def producer(self, do="producer", agent=None, group="producers", **ways):
        self.started += 1
        name = f"producer-{self.started}"
        agent = agent or self.agent
        agent.arrivals[name] = []
        agent.call(do, name=name, group=self.group(group), **ways)
        return name

    def consumer(self, topics, group, tags="*", agent=None, names=(), **ways):
        """Starts one that consumes in the ways that desk.py names."""
        self.started += 1
        name = f"consumer-{self.started}"
        agent = agent or self.agent
        agent.arrivals[name] = []
        agent.call("consumer", name=name, group=group, topics=",".join(topics), tags=tags, names=",".join(names), **ways)
        return name

    def send(self, producer, messages, mode="sync", agent=None):
        """One after the other, each answered."""
        agent = agent or self.agent
        for message in messages:
            message.answer = agent.answer(agent.send(producer, mode, message))

    def read(self, messages, repeats=False):
        """Reads the topic of the messages in the client's best way, and compares."""
        topic = messages[0].topic
        names = sorted({name for message in messages for name in message.properties})
        if "pull" in self.agent.can or "push" not in self.agent.can:
            reader = self.agent if "pull" in self.agent.can else self.helper()
            deadline = time.monotonic() + 30
            while True:
                reader.arrivals["pull"] = []
                reader.call("pull", topic=topic, names=",".join(names))
                arrivals = reader.arrivals["pull"]
                # A message may be answered, or sent oneway, before its queue shows it.
                if not missing(messages, arrivals) or time.monotonic() > deadline:
                    break
                time.sleep(0.05)
        else:
            reader = self.agent
            name = self.consumer([topic], self.group("readers"), names=names)
            self.arrive(reader, name, messages)
            reader.call("stop", name=name)
            arrivals = reader.arrivals[name]
        compare(messages, arrivals, reader.can & self.agent.can, repeats)
        return arrivals

    def arrive(self, agent, consumer, messages, seconds=60):
        """Waits until each of the messages has come to the consumer."""
        left = lambda: missing(messages, agent.arrivals[consumer])
        agent.wait(lambda: not left(), seconds, lambda: f"{len(left())} of {len(messages)} messages, first {left()[0].body[:40]!r},")


def text(topic, count, what="body", tags=(None,)):
    """Messages with bodies that can be told apart, and the tags in turn."""
    bodies = [f"{what} {number}".encode() for number in range(count)]
    return [Message(topic, body, tags[number % len(tags)], f"key-{number}") for number, body in enumerate(bodies)]


def require(condition, otherwise):
    if not condition:
        raise Failed(otherwise)
