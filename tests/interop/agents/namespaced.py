"""Applications in a namespace, together with those of Java's client in the same one: brokers know their topics and groups as
`namespace%name`, and nobody outside sees them under their own names."""

import base64

from desk import Failed
from kinds import dead_letters
from ledger import Message, compare
from scenarios import rounds, rounds_through, scenario
from stage import RUN, Skipped, require, text

SPACE = f"space-{RUN}"


def sides(stage):
    """The client and Java's."""
    java = stage.helper()
    if "namespaces" not in java.can:
        raise Skipped("the Java client beside it has no namespaces")
    return stage.agent, java


def wrapped(message):
    """As those see it who are in no namespace."""
    other = Message(f"{SPACE}%{message.topic}", message.body, message.tags, message.keys)
    other.answer = message.answer
    return other


@scenario("namespace-shared-with-java", "sync", "push", "pull", "namespaces", "refuses", "retries")
def shared_with_java(stage):
    """Each gets what both send; in one group they share it, and what that refuses comes again and dies in the namespace."""
    both, topic, sent = sides(stage), stage.group("topic"), []
    producers = [stage.producer(agent=agent, namespace=SPACE) for agent in both]
    for agent, producer in zip(both, producers):
        messages = text(topic, 20, f"from {agent.name}", ("TagA", None))
        stage.send(producer, messages, agent=agent)
        sent += messages
    for agent in both:
        consumer = stage.consumer([topic], stage.group(f"of-{agent.name}"), agent=agent, namespace=SPACE)
        stage.arrive(agent, consumer, sent)
        agent.call("stop", name=consumer)
        compare(sent, agent.arrivals[consumer], agent.can)

    group = stage.group("group")
    outside = text(topic, 8, "outside")
    stage.send(stage.producer(), outside)
    stage.read(outside)
    stage.read([wrapped(message) for message in sent])
    stranger = stage.consumer([topic], group)
    stage.arrive(stage.agent, stranger, outside)

    # The group's retry topic is there before those begin that share it: a client would ask for its route half a minute later.
    early = stage.consumer([topic], group, namespace=SPACE)
    stage.arrive(stage.agent, early, sent)
    stage.agent.call("stop", name=early)
    pair = [(agent, stage.consumer([topic], group, agent=agent, namespace=SPACE, refuse="bad", count=1000, retries=1, level=1)) for agent in both]
    # In the last round each takes the half that is its own, so that each message came once.
    _, shared_after = rounds(rounds_through(stage, producers[0], topic, sent), 0, pair, lambda counts: counts == [8, 8], "was not shared out")

    bad = text(topic, 8, "bad", ("bad",))
    for number, (agent, producer) in enumerate(zip(both, producers)):
        stage.send(producer, bad[number::2], agent=agent)
    letters = dead_letters(stage, f"{SPACE}%{topic}", f"{SPACE}%{group}", bad, ("RETRY_TOPIC",))
    require(sorted(letter["body"] for letter in letters) == sorted(message.body for message in bad), f"there are {len(letters)} dead letters")
    origins = {letter["p.RETRY_TOPIC"] for letter in letters}
    require(origins == {f"{SPACE}%{topic}"}, f"the dead letters come from {origins}")
    came = [arrival for agent, name in pair for arrival in agent.arrivals[name]]
    for message in bad:
        tries = sorted((arrival["topic"], arrival["times"]) for arrival in came if arrival["body"] == message.body)
        require(tries == [(topic, "0"), (topic, "1")], f"{message.body!r} was tried as {tries}")
    taken = stage.agent.arrivals[early] + [arrival for arrival in came if arrival.get("tags") != "bad"]
    again = compare(sent, taken, stage.agent.can, repeats=True)
    compare(outside, stage.agent.arrivals[stranger], stage.agent.can)
    return f"{len(sent)} messages, {again} again, shared after {shared_after:.1f} s; {len(bad)} tried twice and dead; {len(outside)} outside"


@scenario("transactions-in-a-namespace", "push", "transactions", "namespaces")
def transactions(stage):
    """What one commits the other gets; a broker asks the one that is in the namespace, which sees its own topic's name."""
    both = sides(stage)
    kinds = ("commit-none", "rollback-none", "unknown-commit", "unknown-rollback")
    played = []
    for agent, other in (both, both[::-1]):
        topic = stage.group(f"topic-{agent.name}")
        producer = stage.producer("transactor", agent=agent, group=f"producers-{agent.name}", namespace=SPACE)
        messages = text(topic, 24, f"from {agent.name}", kinds)
        stage.send(producer, messages, "transaction", agent=agent)
        consumer = stage.consumer([topic], stage.group(f"group-{other.name}"), agent=other, namespace=SPACE)
        played.append((agent, producer, other, consumer, messages))
    for agent, producer, other, consumer, messages in played:
        committed = [message for message in messages if "commit" in message.tags]
        is_open = [message for message in messages if message.tags.startswith("unknown")]
        stage.arrive(other, consumer, committed)
        # Who is asked about all that is open has been asked about what is rolled back, too.
        stage.arrive(agent, producer, is_open)
        compare(is_open, agent.arrivals[producer], agent.can, repeats=True)
        compare(committed, other.arrivals[consumer], other.can)
    return f"{len(messages)} of either, half of them delivered to the other"


@scenario("requests-in-a-namespace", "sync", "push", "namespaces", "requests")
def requests(stage):
    """Each asks, and the other one answers."""
    both = sides(stage)
    for agent, other in (both, both[::-1]):
        topic = stage.group(f"topic-{agent.name}")
        # One of Java's tells the broker of itself when it asks of a topic for the first time, so another makes the topic.
        stage.send(stage.producer(namespace=SPACE), text(topic, 1))
        asks = stage.producer(agent=agent, namespace=SPACE)
        group, repliers = stage.group(f"group-{agent.name}"), stage.group(f"repliers-{agent.name}")
        answers = stage.consumer([topic], group, "asked", agent=other, namespace=SPACE, replies=repliers)
        for message in text(topic, 10, "question", ("asked",)):
            try:
                answer = agent.call("request", by=asks, **message.form())
            except Failed as why:
                came = [arrival["body"] for arrival in other.arrivals[answers]]
                raise Failed(f"{message.body!r} has no reply, and {other.name} got {came}: {why}") from why
            reply = base64.b64decode(answer["reply"])
            require(reply == b"re: " + message.body, f"{message.body!r} was answered with {reply!r}")
    return "10 of either, answered by the other"
