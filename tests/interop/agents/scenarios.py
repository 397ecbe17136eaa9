"""What an application does with a client, scenario by scenario; a scenario returns what its line says in brackets."""

import random
import time

from desk import Failed
from ledger import Message, compare, missing
from stage import Skipped, require, text

SCENARIOS = {}


def scenario(name, *abilities):
    """Declares a scenario for the clients that have the abilities."""

    def declare(play):
        def played(stage):
            stage.needs(*abilities)
            return play(stage)

        SCENARIOS[name] = played
        return play

    return declare


@scenario("sync", "sync")
def sync(stage):
    topic, made = stage.topic()
    messages = text(topic, 100)
    stage.send(stage.producer(), messages)
    ids = {message.answer["id"] for message in messages}
    require(len(ids) == len(messages), f"{len(ids)} ids for {len(messages)} messages")
    stage.read(made + messages)
    return f"{len(messages)} messages"


@scenario("async", "async")
def in_parallel(stage):
    topic, made = stage.topic()
    messages = text(topic, 300)
    producer = stage.producer()
    stage.send(producer, messages[:1])
    calls = [stage.agent.send(producer, "async", message) for message in messages[1:]]
    for message, call in zip(messages[1:], calls):
        message.answer = stage.agent.answer(call)
    stage.read(made + messages)
    return f"{len(messages)} messages"


@scenario("oneway", "oneway")
def oneway(stage):
    topic, made = stage.topic()
    messages = text(topic, 200)
    producer = stage.producer()
    if "sync" in stage.agent.can:
        stage.send(producer, messages[:1])
    for message in messages[1 if "sync" in stage.agent.can else 0 :]:
        stage.agent.answer(stage.agent.send(producer, "oneway", message))
    stage.read(made + messages)
    return f"{len(messages)} messages"


@scenario("batch", "batch")
def batch(stage):
    topic, made = stage.topic()
    producer = stage.producer()
    messages = []
    sizes = [1, 2, 3, 10, 100, 4, 5, 6]
    for size in sizes:
        members = text(topic, size, f"batch of {size}, number", ("TagA", "TagB"))
        for number, member in enumerate(members):
            member.properties = {"number": f"№ {number}"} if "properties" in stage.agent.can else {}
        stage.agent.batch(producer, members)
        messages += members
    arrivals = {arrival["body"]: arrival for arrival in stage.read(made + messages)}
    for size in sizes:
        places = [arrivals[f"batch of {size}, number {number}".encode()] for number in range(size)]
        if "offset" in places[0]:
            first = int(places[0]["offset"])
            follow = all(int(place["offset"]) == first + i and place["queue"] == places[0]["queue"] for i, place in enumerate(places))
            require(follow, f"the members of a batch of {size} do not follow each other")
    return f"{len(sizes)} batches, {len(messages)} messages"


def any_bytes(stage, size, seed):
    """Bytes that do not compress, all values but those that the client's interface cannot carry."""
    some = random.Random(seed).getrandbits(8 * size).to_bytes(size, "big")
    return some if "nul" in stage.agent.can else some.replace(b"\0", b"\1")


@scenario("one-mebibyte", "sync", "large")
def one_mebibyte(stage):
    topic, made = stage.topic()
    messages = [Message(topic, any_bytes(stage, 1 << 20, seed)) for seed in range(8)]
    stage.send(stage.producer(), messages)
    stage.read(made + messages)
    return f"{len(messages)} bodies of 1048576 bytes"


@scenario("compressed", "sync", "compresses")
def compressed(stage):
    topic, made = stage.topic()
    size = 8 << 10
    messages = [Message(topic, (f"line {i} of a text that repeats itself; " * 300)[:size].encode()) for i in range(10)]
    stage.send(stage.producer(), messages)
    own = {message.body for message in messages}
    for arrival in stage.read(made + messages):
        if arrival["body"] in own and "stored" in arrival:
            require(int(arrival["stored"]) < size // 2, f"not stored compressed, but in {arrival['stored']} bytes")
    return f"{len(messages)} bodies of {size} bytes"


@scenario("properties", "sync", "properties")
def properties(stage):
    """Every character up to U+00FF but zero, which is refused, and the two that part properties; every byte in a body."""
    topic, made = stage.topic()
    least = 0 if "nul" in stage.agent.can else 1
    latin = "".join(chr(code) for code in range(3, 256))
    values = ["plain", "with spaces = and : and ;", 'quotes " and \\ and /', latin, "日本語", "\U0001f680 beyond the BMP", "x" * 5000]
    messages = []
    for number, value in enumerate(values):
        body = f"{number} ".encode() + bytes(range(least, 256))
        sent = {"value": value, "名前": "a name in another script"}
        messages.append(Message(topic, body, f"Tag{number}", f"key-{number} second-{number}", sent))
    stage.send(stage.producer(), messages)
    stage.read(made + messages)
    return f"{len(messages)} messages with keys, tags and properties, {len(latin)} characters in one"


@scenario("pull-over-all-queues", "sync", "pull")
def pull_over_all_queues(stage):
    topic, made = stage.topic()
    messages = text(topic, 300, tags=("TagA", None))
    stage.send(stage.producer(), messages)
    queues = {arrival.get("queue") for arrival in stage.read(made + messages)}
    return f"{len(messages)} messages from {len(queues)} queues"


@scenario("push-consumer-with-tags", "sync", "push", "tags")
def push_consumer_with_tags(stage):
    topic, made = stage.topic()
    producer = stage.producer()
    tags = ("TagA", "TagB", "TagC", None)
    wanted = lambda messages: [message for message in messages if message.tags in ("TagA", "TagC")]
    before, after = text(topic, 100, "before", tags), text(topic, 100, "after", tags)
    stage.send(producer, before)
    consumer = stage.consumer([topic], stage.group("group"), "TagA || TagC")
    stage.arrive(stage.agent, consumer, wanted(before))
    stage.send(producer, after)
    stage.arrive(stage.agent, consumer, wanted(after))
    stage.agent.call("stop", name=consumer)
    arrivals = stage.agent.arrivals[consumer]
    compare(wanted(before + after), arrivals, stage.agent.can, repeats=True)
    return f"{len(arrivals)} of {len(made + before + after)} messages"


@scenario("two-consumers-share-a-group-and-one-leaves", "sync", "push")
def share_and_leave(stage):
    """Rounds of messages until both programs take some, in queues of their own; then until one takes all alone."""
    topic, made = stage.topic()
    group = stage.group("group")
    producer = stage.producer()
    sent = text(topic, 8, "first")
    stage.send(producer, sent)
    stays, leaves = stage.agent, stage.program()
    one = stage.consumer([topic], group, agent=stays)
    other = stage.consumer([topic], group, agent=leaves)

    round_of = rounds_through(stage, producer, topic, sent)
    both, alone = [(stays, one), (leaves, other)], [(stays, one)]
    number, shared_after = rounds(round_of, 0, both, lambda counts: counts == [8, 8], "was not shared out")
    leaves.call("stop", name=other)
    number, taken_after = rounds(round_of, number, alone, lambda counts: counts == [16], "was not taken over")
    again = compare(made + sent, stays.arrivals[one] + leaves.arrivals[other], stays.can, repeats=True)
    return f"{len(sent)} messages, {again} again; shared after {shared_after:.1f} s, taken over after {taken_after:.1f} s"


def rounds_through(stage, producer, topic, sent):
    """Makes rounds of messages that a producer sends to a topic, and adds them to what was sent."""

    def round_of(number, programs):
        """Sends a message for each queue, several times, waits for all, and returns how many each consumer took."""
        messages = text(topic, 16, f"round {number}, message")
        stage.send(producer, messages)
        sent.extend(messages)
        deadline = time.monotonic() + 60
        while True:
            came = [[a for a in agent.arrivals[name] if a["body"].startswith(f"round {number},".encode())] for agent, name in programs]
            if not missing(messages, sum(came, [])):
                return [len(arrivals) for arrivals in came]
            require(time.monotonic() < deadline, f"round {number} did not come within 60 s, only {[len(c) for c in came]}")
            time.sleep(0.02)

    return round_of


def rounds(round_of, number, programs, is_right, otherwise):
    """Repeats rounds until the counts are right; returns the next number and how long it took."""
    began = time.monotonic()
    while True:
        counts = round_of(number, programs)
        number += 1
        took = time.monotonic() - began
        if is_right(counts):
            return number, took
        require(took < 60, f"the topic {otherwise} within 60 s: {counts}")
        time.sleep(0.2)


@scenario("query-by-key-and-by-id", "sync", "keys")
def query_by_key_and_by_id(stage):
    """No client but Java's can ask, so Java's does: by a key of its own for each message, by one they share, by the id."""
    topic, _ = stage.topic()
    messages = text(topic, 20)
    for message in messages:
        message.keys += " shared"
    stage.send(stage.producer(), messages)
    helper = stage.helper()
    # The index is written after the answer, in the order of the log.
    helper.call("query", name="last", topic=topic, key="key-19", count=1)
    for message in messages:
        helper.call("query", name="own", topic=topic, key=message.keys.split()[0], count=1)
        helper.call("view", name="id", topic=topic, id=message.answer["id"])
    helper.call("query", name="shared", topic=topic, key="shared", count=len(messages))
    for found in ("own", "id", "shared"):
        compare(messages, helper.arrivals.pop(found), helper.can)
    return f"{len(messages)} by their key, by a shared key and by id, asked for by Java"


@scenario("reset-and-running-info", "sync", "push", "obeys")
def reset_and_running_info(stage):
    """The broker asks a consumer what it runs, and sends it back to the beginning; Java's client asks for both."""
    topic, made = stage.topic()
    group = stage.group("group")
    messages = made + text(topic, 20)
    stage.send(stage.producer(), messages[len(made):])
    consumer = stage.consumer([topic], group)
    stage.arrive(stage.agent, consumer, messages)
    helper = stage.helper()
    running = helper.call("info", topic=topic, group=group)
    require("PROP_CLIENT_VERSION" in running["info"], f"it says of itself {running}")
    deadline = time.monotonic() + 60
    while True:
        # A client commits every few seconds, and a group must have committed on all queues.
        try:
            reset = helper.call("reset", topic=topic, group=group, time=0)
            break
        except Failed:
            require(time.monotonic() < deadline, "the group cannot be reset within 60 s")
            time.sleep(0.5)
    times = lambda: [sum(a["body"] == message.body for a in stage.agent.arrivals[consumer]) for message in messages]
    stage.agent.wait(lambda: min(times()) >= 2, 60, lambda: f"messages once more, {times()}")
    return f"{len(messages)} messages, all again after a reset of {reset['queues']} queues; the client is {running['client']}"


@scenario("resume-after-restart", "sync", "push")
def resume_after_restart(stage):
    """One consumer lives through the restart; another stops before it and comes back after it."""
    (living, made), (returning, made_returning) = stage.topic("living"), stage.topic("returning")
    producer = stage.producer()
    live, back = text(living, 50, "before"), text(returning, 50, "before")
    stage.send(producer, live + back)
    lives = stage.consumer([living], stage.group("living"))
    before = stage.consumer([returning], stage.group("returning"))
    stage.arrive(stage.agent, lives, made + live)
    stage.arrive(stage.agent, before, made_returning + back)
    stage.agent.call("stop", name=before)

    if not stage.restart():
        raise Skipped("this broker cannot be restarted from here")

    after_live, after_back = text(living, 50, "after"), text(returning, 50, "after")
    stage.send(producer, after_live + after_back)
    after = stage.consumer([returning], stage.group("returning"))
    stage.arrive(stage.agent, after, after_back)
    stage.arrive(stage.agent, lives, after_live, 90)
    can = stage.agent.can
    again = compare(made + live + after_live, stage.agent.arrivals[lives], can, repeats=True)
    twice = stage.agent.arrivals[before] + stage.agent.arrivals[after]
    again_back = compare(made_returning + back + after_back, twice, can, repeats=True)
    # One that stops commits what it has done, or loses at most its last few seconds.
    require(again_back <= 50, f"{again_back} of 50 came again to the one that returned")
    return f"100 messages for each group, {again} again for the one that lived on, {again_back} for the one that returned"
