#!/usr/bin/env python3
"""Clients at a broker that does not let in everybody: guarded.py CHECK ERRORS RIGHT-COMMAND... -- NAME COMMAND...

The right command is let in and makes topics; the other one is refused. Checks are those below. Prints PASS or FAIL.
"""

import sys
import time
import traceback

from desk import Failed
from stage import Stage, require, text

# What a Java broker's words for each refusal have, besides the class of its exception.
WORDS = {
    "wrong-secret": "Check signature failed",
    "missing-key": "No accessKey is configured",
    "unknown-key": "No acl config",
    "denied-topic": "No default permission",
}


def refused(stage, do, **command):
    """The answer of a command that must fail."""
    agent = stage.agent
    call = agent.begin(do, **command)
    agent.wait(lambda: call in agent.answers, 60, "an answer")
    answer = agent.answers.pop(call)
    require("error" in answer, f"{do} was let in")
    return answer


def acl(name, right, stage):
    """It can neither send nor pull, and says in the broker's words why; it is not told to try again."""
    topic = "Denied" if name == "denied-topic" else right.topic()[0]
    messages = text(topic, 3)
    right.send(right.producer(), messages)
    producer = stage.producer()
    batch = {f"0.{key}": value for key, value in messages[0].form().items()}
    told = [refused(stage, "send", by=producer, mode=mode, **messages[0].form()) for mode in ("sync", "async")]
    # Of the topic of a batch (320) a broker of 4.9.7 does not ask: PlainAccessValidator does not have the code.
    if name != "denied-topic":
        told.append(refused(stage, "batch", by=producer, topic=topic, count=1, **batch))
    told.append(refused(stage, "pull", topic=topic))
    for answer in told:
        require("AclException" in answer["error"] and WORDS[name] in answer["error"], f"it says {answer['error']!r}")
        require(answer.get("next") == "give-up", f"it is told {answer}")
    return told[0]["error"][:160].replace("\n", " ")


def plain(name, right, stage):
    """It speaks no TLS where that is enforced; it is told that the server may want it."""
    answer = refused(stage, "send", by=stage.producer(), mode="sync", **text(right.topic()[0], 1)[0].form())
    require(answer.get("next") == "retry" and "the server may want TLS" in answer["error"], f"it is told {answer}")
    return answer["error"][:160]


CHECKS = {"acl": acl, "plain": plain}


def main():
    check, errors, *rest = sys.argv[1:]
    right, (name, *command) = rest[: rest.index("--")], rest[rest.index("--") + 1 :]
    stages, began = [], time.monotonic()
    try:
        for who, run in (("right", right), (name, command)):
            stages.append(Stage(f"{who}-{name}", run, [], errors, lambda: False))
            stages[-1].scenario = name
        told = CHECKS[check](name, *stages)
        print(f"PASS {check}-{name} (refused: {told}; {(time.monotonic() - began) * 1000:.0f} ms)", flush=True)
        return True
    except Failed as why:
        traceback.print_exc()
        print(f"FAIL {check}-{name} {str(why)[:500]}", flush=True)
        return False
    finally:
        for stage in stages:
            stage.end()


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
