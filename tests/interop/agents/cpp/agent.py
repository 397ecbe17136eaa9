#!/usr/bin/env python3
"""The C++ client, as the wheel `rocketmq` carries it, that does what ../desk.py tells it: agent.py NAMESRV NAME."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from forms import answer, body, say, serve, text, under  # noqa: E402
from rocketmq.client import Message, Producer, PullConsumer, PushConsumer, RecvMessage  # noqa: E402
from rocketmq.exceptions import ffi_check  # noqa: E402
from rocketmq.ffi import MessageModel, _CConsumeStatus, dll  # noqa: E402

# The C interface takes and gives strings that end at a zero byte, and does not tell the queue of a send. A batch of this
# release says `batch=1`, which is `true` to no broker, so that it is stored as one message; it is not played. The interface
# has no producer of transactions, and sets neither how often nor when a refused message comes again; with a message it refuses
# all that were pulled with it, and shows none of those behind it.
ABILITIES = "sync async oneway large compresses pull push tags keys properties creates-topics obeys delays refuses orders broadcasts"


class Agent:
    def __init__(self, namesrv, name):
        self.namesrv, self.name = namesrv, name
        self.open = {}
        self.waiting = {}
        self.pulls = 0

    def work(self, command):
        getattr(self, command["do"])(command)

    def producer(self, command):
        producer = Producer(command["group"], timeout=10_000, max_message_size=4 << 20)
        dll.SetProducerInstanceName(producer._handle, f"{self.name}-{command['name']}".encode())
        producer.set_namesrv_addr(self.namesrv)
        producer.start()
        self.open[command["name"]] = producer
        answer(command)

    def consumer(self, command):
        model = MessageModel.BROADCASTING if "broadcast" in command else MessageModel.CLUSTERING
        consumer = PushConsumer(command["group"], orderly="ordered" in command, message_model=model)
        consumer.set_instance_name(f"{self.name}-{command['name']}")
        consumer.set_namesrv_addr(self.namesrv)
        for topic in command["topics"].split(","):
            ffi_check(dll.Subscribe(consumer._handle, topic.encode(), command["tags"].encode()))
        # The library's own `subscribe` takes a message whose callback fails for consumed.
        consumer._register_callback(listener(command))
        consumer.start()
        self.open[command["name"]] = consumer
        answer(command)

    def stop(self, command):
        # It is destroyed with the process: the library does not wait for its own threads.
        self.open[command["name"]].shutdown()
        answer(command)

    def send(self, command):
        producer, message = self.open[command["by"]], made(command["topic"], command)
        if command["mode"] == "oneway":
            producer.send_oneway(message)
            answer(command)
        elif "lane" in command:
            result = producer.send_orderly(message, int(command["lane"]))
            answer(command, id=result.msg_id, offset=result.offset)
        elif command["mode"] == "sync":
            result = producer.send_sync(message)
            answer(command, id=result.msg_id, offset=result.offset)
        else:
            # The message must live until its answer is there.
            self.waiting[command["call"]] = message
            producer.send_async(
                message,
                lambda result: answer(command, id=result.msg_id, offset=result.offset),
                lambda why: answer(command, error=repr(why)),
            )

    def pull(self, command):
        self.pulls += 1
        consumer = PullConsumer(f"readers-{self.name}-{self.pulls}")
        consumer.offset_table = {}
        consumer.set_namesrv_addr(self.namesrv)
        consumer.start()
        for message in consumer.pull(command["topic"]):
            arrived("pull", message, command["names"].split(","))
        consumer.shutdown()
        answer(command)


def made(topic, form):
    message = Message(topic)
    content = body(form)
    dll.SetByteMessageBody(message._handle, content, len(content))
    if "tags" in form:
        message.set_tags(form["tags"])
    if "keys" in form:
        message.set_keys(form["keys"])
    if "level" in form:
        message.set_delay_time_level(int(form["level"]))
    for name, value in under("p.", form).items():
        message.set_property(name, value)
    return message


def listener(command):
    names, refuse, left = command["names"].split(","), command.get("refuse"), [int(command.get("count", 0))]

    def listen(_, handle):
        message = RecvMessage(handle)
        time.sleep(int(command.get("slow", 0)) / 1000)
        arrived(command["name"], message, names)
        if refuse and message.tags == refuse.encode() and left[0] > 0:
            left[0] -= 1
            return _CConsumeStatus.RECONSUME_LATER.value
        return _CConsumeStatus.CONSUME_SUCCESS.value

    return listen


def arrived(consumer, message, names):
    properties = {f"p.{name}": message[name] for name in names if name}
    say(
        got=consumer,
        topic=message.topic,
        tags=message.tags or b"",
        keys=message.keys or b"",
        body=text(message.body or b""),
        queue=message.queue_id,
        offset=message.queue_offset,
        stored=message.store_size,
        times=message.reconsume_times,
        at=message.store_timestamp,
        **properties,
    )


if __name__ == "__main__":
    serve(ABILITIES, Agent(sys.argv[1], sys.argv[2]).work)
    # The library's threads may still run; its destructors do not wait for them.
    sys.stdout.flush()
    os._exit(0)
