"""One client program at work: commands go to its standard input, answers and arrivals come from its standard output.

Each line is a form (application/x-www-form-urlencoded), so that a few lines read it in any language. The first line of a
program is `can=` with its abilities. A command has `do` and `call`; the line that answers it has the same `call`, and
`error` where it failed. A message that arrives is a line with `got`, the name of the consumer. Bodies are in base64.

  do=producer  name group queues        starts a producer, whose sends make topics with so many queues
  do=transactor name group              starts a producer of transactions: a message's tag `SAID-TOLD` is what it says at once
                                        and when it is asked (commit, rollback, unknown); a question is an arrival of its name
  do=send      by mode topic body tags keys level lane p.NAME...     mode is sync, async, oneway or transaction; a level is one
                                        of delay; messages with one lane, a number, go to one queue; the answer may have id,
                                        queue, offset
  do=batch     by topic count N.body N.tags N.keys N.p.NAME...
  do=consumer  name group topics tags names               starts a push consumer from the first message on; it may also have
                                        ordered=1, broadcast=1, slow, milliseconds for each message, refuse, the tag whose
                                        first `count` arrivals it takes not, retries and level, how often and when they come again,
                                        sql, an expression in place of the tags, kind, what it is where it does not push:
                                        lite, one that polls, stream, one whose messages are acknowledged, or scheduled, one
                                        that is called for each queue, replies, a group whose producer answers each message
                                        with `re: ` and its body
  do=request   by topic body tags...    sends a message and waits for what replies to it; the answer has reply, in base64
  do=pull      topic names              brings all that the queues of a topic hold, as arrivals of the consumer `pull`
  do=query     name topic key count     brings the messages with the key once there are so many, as arrivals of the name
  do=view      name topic id            brings the message with the id
  do=reset     topic group time         has a group sent elsewhere; the answer has queues, their number
  do=info      topic group              asks what the group's first client runs; the answer has client and info
  do=allow     topic group retries      sets how often messages come again to a group; the topic tells the broker
  do=open      by topic                 lets a topic of the broker of the topic `by` be read; the answer has was, its permission before
  do=stop      name

Producers, transactors and consumers may have a namespace, which their topics and groups are in. `names` are the properties that a client must ask for by name. An arrival has `times`, how often it came before, and `at`,
when it was stored, where a scenario wants them; `seen` is when its line was read. A program ends when its standard input does.
"""

import base64
import subprocess
import threading
import time
from urllib.parse import parse_qsl, urlencode

CALL_SECONDS = 60


class Failed(AssertionError):
    """A client did not do what it should."""


class Agent:
    def __init__(self, name, command, errors, beside=None):
        """Beside another program, it shares with that one what arrives."""
        self.name = name
        self.changed = beside.changed if beside else threading.Condition()
        self.can = None
        self.answers = {}
        self.arrivals = beside.arrivals if beside else {}
        self.calls = 0
        self.errors = open(errors, "ab")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors)
        threading.Thread(target=self._read, daemon=True).start()
        self.wait(lambda: self.can is not None, CALL_SECONDS, "its first line")

    def _read(self):
        for line in self.process.stdout:
            # What a library prints by itself is none of ours.
            if not line.startswith((b"can=", b"call=", b"got=")):
                continue
            form = dict(parse_qsl(line.decode().strip(), keep_blank_values=True))
            with self.changed:
                if "can" in form:
                    self.can = set(form["can"].split())
                elif "call" in form:
                    self.answers[int(form["call"])] = form
                else:
                    form["body"], form["seen"] = base64.b64decode(form["body"]), time.monotonic()
                    self.arrivals.setdefault(form["got"], []).append(form)
                self.changed.notify_all()
        with self.changed:
            self.can = self.can or set()
            self.process.wait()
            self.changed.notify_all()

    def wait(self, condition, seconds, what):
        """Returns when the condition holds; fails when the program ends before, or when it takes longer."""
        with self.changed:
            self.changed.wait_for(lambda: condition() or self.process.poll() is not None, seconds)
            if not condition():
                ended = self.process.poll()
                how = f"within {seconds} s" if ended is None else f"before it ended with status {ended}"
                raise Failed(f"{self.name} did not give {what() if callable(what) else what} {how}")

    def begin(self, do, **form):
        """Sends a command and returns the number that `answer` takes."""
        self.calls += 1
        line = urlencode({"do": do, "call": self.calls, **{name: value for name, value in form.items() if value is not None}})
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failed(f"{self.name} has ended") from None
        return self.calls

    def answer(self, call):
        self.wait(lambda: call in self.answers, CALL_SECONDS, "an answer")
        answer = self.answers.pop(call)
        if "error" in answer:
            raise Failed(f"{self.name}: {answer['error']}")
        return answer

    def call(self, do, **form):
        return self.answer(self.begin(do, **form))

    def send(self, by, mode, message):
        return self.begin("send", by=by, mode=mode, **message.form())

    def batch(self, by, messages):
        members = {f"{i}.{name}": value for i, m in enumerate(messages) for name, value in m.form().items() if name != "topic"}
        return self.call("batch", by=by, topic=messages[0].topic, count=len(messages), **members)

    def end(self):
        """Lets the program end by itself, and kills it when it does not."""
        try:
            self.process.stdin.close()
            self.process.wait(5)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self.process.kill()
            self.process.wait()
        self.errors.close()
