"""Every kind of message and every way of consuming it, as far as a client has it; the names are those of java/Interop.java."""

import time

from desk import Failed
from ledger import Message, compare, missing
from scenarios import rounds, scenario
from stage import require, text

LEVEL_MS = (0, 1_000, 5_000)
# How late a message may be stored in its topic.
LATE_MS = 1_500


@scenario("order-by-selector", "sync", "push", "orders")
def order_by_selector(stage):
    """Each account keeps its order in a queue of its own, also while a message is refused that others wait behind."""
    topic, made = stage.topic()
    accounts, steps, refusals = 7, 20, 3
    messages = [
        Message(topic, f"account {account} step {step}".encode(), "refused" if (account, step) == (3, 5) else None, lane=account)
        for step in range(steps)
        for account in range(accounts)
    ]
    stage.send(stage.producer(), messages)
    consumer = stage.consumer([topic], stage.group("group"), ordered=1, refuse="refused", count=refusals)
    stage.arrive(stage.agent, consumer, made + messages)
    arrivals = stage.agent.arrivals[consumer]
    again = compare(made + messages, arrivals, stage.agent.can, repeats=True)
    require(again == refusals, f"{again} messages came again, and one was refused {refusals} times")
    queues = set()
    for account in range(accounts):
        came = [arrival for arrival in arrivals if arrival["body"].startswith(b"account %d " % account)]
        own = {arrival["queue"] for arrival in came}
        require(len(own) == 1, f"account {account} is in the queues {own}")
        queues |= own
        numbers = [int(arrival["body"].split()[-1]) for arrival in came]
        wanted = [step for step in range(steps) for _ in range(1 + refusals if (account, step) == (3, 5) else 1)]
        require(numbers == wanted, f"account {account} came as {numbers}")
    return f"{accounts} accounts in {len(queues)} queues, each in order; one message came {1 + refusals} times before the next"


@scenario("order-holds-in-one-queue", "sync", "push", "orders")
def order_holds_in_one_queue(stage):
    """All messages of a topic with one queue keep their order, also when one consumer leaves and the other goes on."""
    topic, made = stage.narrow_topic()
    group = stage.group("group")
    messages = text(topic, 300, "number")
    stage.send(stage.producer(), messages)
    agents = [stage.agent, stage.program()]
    pair = [(agent, stage.consumer([topic], group, agent=agent, ordered=1, slow=5)) for agent in agents]
    came = lambda: sorted((a for agent, name in pair for a in agent.arrivals[name]), key=lambda arrival: arrival["seen"])
    # One of Java's that loses a queue to another keeps its lock for 20 s while messages are in hand, and who failed tries again after 20 s.
    until(lambda: len(came()) > 100, 90, lambda: f"only {len(came())} of 100 messages came")
    leaver, leaving = next((agent, name) for agent, name in pair if agent.arrivals[name])
    leaver.call("stop", name=leaving)
    # A client that gives its locks back is followed at once, others when their locks end: after a minute at most.
    until(lambda: not missing(messages, came()), 90, lambda: f"{len(missing(messages, came()))} messages are missing")
    again = compare(made + messages, came(), stage.agent.can, repeats=True)
    numbers = [int(arrival["body"].split()[-1]) for arrival in came() if arrival["body"] != made[0].body]
    for before, after in zip(numbers, numbers[1:]):
        # One that stops may leave what it has just taken uncommitted.
        require(after <= before + 1, f"{after} came after {before}")
    taken = [len(agent.arrivals[name]) for agent, name in pair]
    require(all(taken), f"one of the consumers took nothing: {taken}")
    return f"{len(messages)} messages in order from one consumer and then the other, {again} of them again"


def until(condition, seconds, otherwise):
    """Waits for what more than one program tells."""
    deadline = time.monotonic() + seconds
    while not condition():
        require(time.monotonic() < deadline, f"{otherwise()} within {seconds} s")
        time.sleep(0.02)


@scenario("broadcast-reaches-every-consumer", "sync", "push", "broadcasts")
def broadcast_reaches_every_consumer(stage):
    """A client may begin behind what is there when it starts: rounds of messages show when both have all queues."""
    topic, made = stage.topic()
    group, producer = stage.group("group"), stage.producer()
    early = text(topic, 8, "early")
    stage.send(producer, early)
    agents = [stage.agent, stage.program()]
    pair = [(agent, stage.consumer([topic], group, agent=agent, broadcast=1)) for agent in agents]

    awake(stage, producer, topic, pair)
    messages = text(topic, 200, "message", ("TagA", "TagB", None))
    stage.send(producer, messages)
    for agent, name in pair:
        stage.arrive(agent, name, messages)
        compare(messages, [arrival for arrival in agent.arrivals[name] if arrival["body"].startswith(b"message ")], agent.can)
    return f"{len(messages)} messages, each once for each of two"


def awake(stage, producer, topic, pair):
    """Rounds of messages until both consumers have all queues."""

    def round_of(number, programs):
        messages = text(topic, 16, f"round {number}, message")
        stage.send(producer, messages)
        time.sleep(0.2)
        return [len(messages) - len(missing(messages, agent.arrivals[name])) for agent, name in programs]

    rounds(round_of, 0, pair, lambda counts: counts == [16, 16], "was not broadcast")


@scenario("broadcast-in-order", "sync", "push", "orders", "broadcasts-in-order")
def broadcast_in_order(stage):
    """Consumers with orderly listeners that all get everything: no queue is locked, and each queue comes in its order.

    Java's lock queues like this too: one of 4.3.0 gets nothing, of two of 4.9.8 each gets some; of 5.3.3 each gets all, later.
    """
    topic, made = stage.topic()
    group, producer = stage.group("group"), stage.producer()
    lanes, steps = 5, 12
    messages = [Message(topic, f"lane {lane} step {step}".encode(), lane=lane) for step in range(steps) for lane in range(lanes)]
    agents = [stage.agent, stage.program()]
    pair = [(agent, stage.consumer([topic], group, agent=agent, broadcast=1, ordered=1)) for agent in agents]
    awake(stage, producer, topic, pair)
    stage.send(producer, messages)
    for agent, name in pair:
        stage.arrive(agent, name, messages)
        came = [arrival for arrival in agent.arrivals[name] if arrival["body"].startswith(b"lane ")]
        compare(messages, came, agent.can)
        for lane in range(lanes):
            numbers = [int(arrival["body"].split()[-1]) for arrival in came if arrival["body"].startswith(b"lane %d " % lane)]
            require(numbers == list(range(steps)), f"lane {lane} came to {name} as {numbers}")
    return f"{len(messages)} messages in {lanes} lanes, each in order and once for each of two"


@scenario("polled", "sync", "polls")
def polled(stage):
    return comes_and_goes(stage, "lite")


@scenario("streamed", "sync", "streams")
def streamed(stage):
    return comes_and_goes(stage, "stream")


@scenario("called-for-each-queue", "sync", "schedules")
def called_for_each_queue(stage):
    return comes_and_goes(stage, "scheduled")


def comes_and_goes(stage, kind):
    """One of another kind gets what is there and what comes, and after a stop goes on behind what it had."""
    topic, made = stage.topic()
    producer, group = stage.producer(), stage.group("group")
    before, after, later = text(topic, 80, "before"), text(topic, 80, "after"), text(topic, 80, "later")
    stage.send(producer, before)
    first = stage.consumer([topic], group, kind=kind)
    stage.arrive(stage.agent, first, made + before)
    stage.send(producer, after)
    stage.arrive(stage.agent, first, after)
    stage.agent.call("stop", name=first)
    stage.send(producer, later)
    second = stage.consumer([topic], group, kind=kind)
    stage.arrive(stage.agent, second, later)
    stage.agent.call("stop", name=second)
    compare(made + before + after, stage.agent.arrivals[first], stage.agent.can)
    compare(later, stage.agent.arrivals[second], stage.agent.can)
    return f"{len(before + after)} messages, and {len(later)} after it stopped and came back, each once"


@scenario("filter-by-sql", "sync", "push", "filters", "properties")
def filter_by_sql(stage):
    """The broker gives what the expression is true for; what it cannot tell it gives not."""
    topic, made = stage.topic()
    colors = ("red", "green", "it's blue", None)
    messages = [
        Message(
            topic,
            f"colored {number}".encode(),
            properties={"number": str(number), **({"color": colors[number % 4]} if colors[number % 4] else {})},
        )
        for number in range(200)
    ]
    stage.send(stage.producer(), messages)
    sql = "number BETWEEN 20 AND 150 AND color IN ('red', 'it''s blue')"
    consumer = stage.consumer([topic], stage.group("group"), names=("number", "color"), sql=sql)
    wanted = [message for message in messages[20:151] if message.properties.get("color") in ("red", "it's blue")]
    stage.arrive(stage.agent, consumer, wanted)
    compare(wanted, stage.agent.arrivals[consumer], stage.agent.can)
    return f"{len(wanted)} of {len(messages)} messages"


@scenario("delay-levels", "sync", "push", "delays")
def delay_levels(stage):
    """Two levels and none, mixed; broker and clients have one clock, and a message is stored in its topic when it is due."""
    topic, made = stage.topic()
    producer = stage.producer()
    messages = [Message(topic, f"waits {number}".encode(), f"level{number % 3}", level=number % 3 or None) for number in range(60)]
    sent_at = {}
    for message in messages:
        sent_at[message.body] = int(time.time() * 1000)
        stage.send(producer, [message])
        # A message that waits is answered with its place among those that wait.
        message.answer = {}
    consumer = stage.consumer([topic], stage.group("group"))
    stage.arrive(stage.agent, consumer, made + messages, 20)
    arrivals = [arrival for arrival in stage.agent.arrivals[consumer] if arrival["body"] in sent_at]
    compare(messages, arrivals, stage.agent.can)
    late = [int(arrival["at"]) - sent_at[arrival["body"]] - LEVEL_MS[int(arrival["tags"][-1])] for arrival in arrivals]
    require(min(late) >= 0, f"one was delivered {-min(late)} ms early")
    require(max(late) <= LATE_MS, f"one was delivered {max(late)} ms late")
    return f"20 of each, late by at most {max(late)} ms"


@scenario("retries-and-dead-letters", "sync", "push", "pull", "refuses")
def retries_and_dead_letters(stage):
    """Messages that are taken the first time, and then as many that are refused whenever they come."""
    topic, made = stage.topic()
    group, producer = stage.group("group"), stage.producer()
    first = text(topic, 1, "first", ("good",))
    stage.send(producer, first)
    # A group's first heartbeat makes its retry topic, whose route a client would ask for half a minute later.
    early = stage.consumer([topic], group)
    stage.arrive(stage.agent, early, made + first)
    stage.agent.call("stop", name=early)
    if "retries" in stage.agent.can:
        retries, ways = 2, {"retries": 2, "level": 1}
    else:
        retries, ways = 1, {}
        stage.helper().call("allow", topic=topic, group=group, retries=retries)
    good, bad = text(topic, 10, "good", ("good",)), text(topic, 10, "bad", ("bad",))
    stage.send(producer, good)
    consumer = stage.consumer([topic], group, refuse="bad", count=1000, **ways)
    stage.arrive(stage.agent, consumer, good)
    stage.send(producer, bad)

    names = ("RETRY_TOPIC", "ORIGIN_MESSAGE_ID")
    letters = dead_letters(stage, topic, group, bad, names)
    require(len(letters) == len(bad) == len({letter["body"] for letter in letters}), f"there are {len(letters)} dead letters")
    arrivals = stage.agent.arrivals[consumer]
    seen = {int(arrival["times"]) for arrival in arrivals if arrival["tags"] == "bad"}
    require(seen == set(range(retries + 1)), f"refused messages came as number {seen}")
    for letter in letters:
        body = letter["body"]
        require(letter["tags"] == "bad" and letter.get("p.ORIGIN_MESSAGE_ID"), f"{body!r} is dead as {letter}")
        require(letter["p.RETRY_TOPIC"] == topic, f"{body!r} comes from {letter['p.RETRY_TOPIC']}")
        tries = [(arrival["topic"], arrival["times"], arrival["keys"]) for arrival in arrivals if arrival["body"] == body]
        # The client shows a retried message under its first topic.
        wanted = [(topic, str(number), letter["keys"]) for number in range(retries + 1)]
        if "refuses-one" not in stage.agent.can:
            wanted = [each for each in wanted if each in tries]
        require(tries == wanted, f"{body!r} was tried as {tries}")
    # The first consumer may stop before it has told what it consumed.
    taken = [a for a in stage.agent.arrivals[early] + arrivals if a["tags"] != "bad"]
    again = compare(made + first + good, taken, stage.agent.can, repeats=True)
    require(again <= 1 + len(made), f"{again} consumed messages came again")
    return f"{len(good)} consumed at once, {len(bad)} tried {retries + 1} times and dead"


def dead_letters(stage, topic, group, messages, names):
    """What is among the dead letters of a group, once the messages are there.

    Java's brokers of 4.3.0 make the topic so that it can only be written; to read it, an administrator changes that.
    """
    reader, deadline = stage.agent, time.monotonic() + 30
    while True:
        reader.arrivals["pull"] = []
        try:
            stage.helper().call("open", by=topic, topic=f"%DLQ%{group}")
            reader.call("pull", topic=f"%DLQ%{group}", names=",".join(names))
        except Failed:
            # The topic is made with the first dead letter.
            require(time.monotonic() < deadline, "there are no dead letters within 30 s")
        if not missing(messages, reader.arrivals["pull"]) or time.monotonic() > deadline:
            return reader.arrivals["pull"]
        time.sleep(0.5)


@scenario("transactions", "push", "transactions")
def transactions(stage):
    """By tag: what the producer says at once, and what it says when it is asked."""
    topic, made = stage.topic()
    kinds = ("commit-none", "rollback-none", "unknown-commit", "unknown-rollback")
    messages = text(topic, 60, "message", kinds)
    for message in messages[::5]:
        # A large one is compressed by the client. Before it asks, a broker of 4.3.0 writes it anew, unfolded and marked as compressed
        # all the same: Java's producer cannot read the question, nor its consumer the message and what comes behind it.
        if stage.broker != "4.3.0" or "reads-unfolded" in stage.agent.can or "unknown" not in message.tags:
            message.body += b" x" * 5_000
    producer = stage.producer("transactor")
    stage.send(producer, messages, "transaction")
    consumer = stage.consumer([topic], stage.group("group"))
    committed = [message for message in messages if "commit" in message.tags]
    stage.arrive(stage.agent, consumer, made + committed)
    # Who is asked about all that is open has been asked about what is rolled back, too.
    is_open = [message for message in messages if message.tags.startswith("unknown")]
    stage.arrive(stage.agent, producer, is_open)
    asked = stage.agent.arrivals[producer]
    compare(is_open, asked, stage.agent.can, repeats=True)
    compare(made + committed, stage.agent.arrivals[consumer], stage.agent.can)
    return f"{len(committed)} delivered, {len(messages) - len(committed)} not; asked about {len(is_open)}"
