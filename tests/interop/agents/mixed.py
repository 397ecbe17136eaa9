#!/usr/bin/env python3
"""Each client's producer with each other's consumer: mixed.py ERRORS NAME COMMAND... [-- NAME COMMAND...]...

Every client sends to a topic of its own; then every client that can subscribes to all these topics, and gets everything.
Prints `for CONSUMER: PASS mixed-from-PRODUCER (details)` or `for CONSUMER: FAIL mixed-from-PRODUCER reason` for each pair,
and a line for the whole.
"""

import sys
import traceback
from concurrent.futures import ThreadPoolExecutor

from desk import Agent, Failed
from ledger import Message, compare
from stage import RUN

NAMES = ["value", "名前"]


def clients(arguments):
    """The names and commands between the `--`."""
    group = []
    for argument in [*arguments, "--"]:
        if argument != "--":
            group.append(argument)
        elif group:
            yield group[0], group[1:]
            group = []


def messages_of(name, can):
    """As rich as the producer can make them, and such that the poorest consumer can tell them apart."""
    topic = f"mixed-from-{name}-{RUN}".replace(".", "-")
    bodies = [f"{name} {number}".encode() for number in range(24)]
    if "properties" in can:
        bodies.append(b"any byte but zero " + bytes(range(1, 256)))
        bodies.append(b"to be compressed " + b"a text that repeats itself; " * 300)
    messages = [Message(topic, body) for body in bodies]
    for number, message in enumerate(messages):
        message.tags = f"Tag{number % 3}" if "tags" in can and number % 4 else None
        message.keys = f"key-{number} shared" if "keys" in can else None
        if "properties" in can:
            message.properties = dict(zip(NAMES, ["".join(chr(code) for code in range(3, 256)), "日本語 \U0001f680"]))
    return messages


def send(agent, maker):
    """Sends one after the other, as a batch of the last ones where the client has batches, and returns all that the topic has."""
    messages = messages_of(agent.name, agent.can)
    topic = messages[0].topic
    made = []
    if "creates-topics" not in agent.can:
        made = [Message(topic, b"the message that made the topic")]
        made[0].answer = maker.answer(maker.send("maker", "sync", made[0]))
    agent.call("producer", name="producer", group=f"producers-{topic}")
    rest = messages[16:24] if "batch" in agent.can else []
    for message in messages:
        if message not in rest:
            message.answer = agent.answer(agent.send("producer", "sync" if "sync" in agent.can else "oneway", message))
    if rest:
        agent.batch("producer", rest)
    return made + messages


def receive(agent, sent):
    """Subscribes to all topics and yields a line for each producer."""
    topics = [messages[0].topic for messages in sent.values()]
    agent.arrivals["consumer"] = []
    agent.call("consumer", name="consumer", group=f"mixed-{agent.name}-{RUN}".replace(".", "-"), topics=",".join(topics), tags="*", names=",".join(NAMES))
    for producer, messages in sent.items():
        topic, bodies = messages[0].topic, {message.body for message in messages}
        came = lambda: [arrival for arrival in agent.arrivals["consumer"] if arrival["topic"] == topic]
        try:
            try:
                agent.wait(lambda: bodies <= {arrival["body"] for arrival in came()}, 60, "all messages")
            except Failed:
                pass  # What is missing is said by the comparison.
            again = compare(messages, came(), agent.can, repeats=True)
            yield f"PASS mixed-from-{producer} ({len(messages)} messages, {again} again)"
        except Failed as why:
            yield f"FAIL mixed-from-{producer} {str(why)[:500]}"


def main():
    errors, *rest = sys.argv[1:]
    agents = []

    def start(client):
        name, command = client
        agents.append(Agent(name, command + [f"mixed-{name}-{RUN}"], f"{errors}/mixed-{name}.err"))

    failed = pairs = 0
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(start, clients(rest)))
            agents.sort(key=lambda agent: agent.name)
            maker = next(agent for agent in agents if "creates-topics" in agent.can and "sync" in agent.can)
            maker.call("producer", name="maker", group=f"makers-{RUN}")
            sent = dict(zip([agent.name for agent in agents], pool.map(lambda agent: send(agent, maker), agents)))
            consumers = [agent for agent in agents if "push" in agent.can]
            for agent, lines in zip(consumers, pool.map(lambda agent: list(receive(agent, sent)), consumers)):
                for line in lines:
                    print(f"for {agent.name}: {line}", flush=True)
                    pairs += 1
                    failed += line.startswith("FAIL")
        print(f"{'FAIL' if failed else 'PASS'} mixed ({pairs} pairs, {failed} failed)", flush=True)
    except Exception as why:
        traceback.print_exc()
        print(f"FAIL mixed {str(why)[:500]}", flush=True)
        failed = 1
    finally:
        for agent in agents:
            agent.end()
    return failed == 0


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
