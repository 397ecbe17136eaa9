#!/usr/bin/env python3
"""A broker of 5.3.3 asks about transactions that were ended: late_ops.py ERRORS NAME COMMAND...

It writes down what was ended every 3 s (transactionOpBatchInterval), and asks about what is older than transactionTimeOut.
Where that is shorter, any client is asked about what it has committed as well, and what it then commits again is delivered
again. Prints PASS or FAIL.
"""

import sys
import traceback

from desk import Failed
from ledger import missing
from stage import Stage, require, text

# Whether a round is asked about depends on where in its 3 s the broker is.
ROUNDS, ROUND_SECONDS = 10, 4


def ended(stage):
    """Commits at once, again and again, until it is asked about that."""
    topic, made = stage.topic()
    producer = stage.producer("transactor")
    sent = []
    for number in range(ROUNDS):
        messages = text(topic, 10, f"round {number}, message", ("commit-commit",))
        stage.send(producer, messages, "transaction")
        sent += messages
        asked = stage.agent.arrivals[producer]
        try:
            stage.agent.wait(lambda: asked, ROUND_SECONDS, "a question")
            break
        except Failed:
            continue
    require(asked, f"it was not asked in {ROUNDS} rounds")
    consumer = stage.consumer([topic], stage.group("group"))
    stage.arrive(stage.agent, consumer, made + sent)
    wrong = missing(sent, stage.agent.arrivals[consumer])
    require(not wrong, f"{len(wrong)} are missing")
    return f"asked about {len({arrival['body'] for arrival in asked})} of {len(sent)} that were committed at once"


def main():
    errors, name, *command = sys.argv[1:]
    stage = Stage(name, command, [], errors, lambda: False)
    stage.scenario = "late-ops"
    try:
        print(f"PASS it-asks-{name}-about-what-is-ended ({ended(stage)})", flush=True)
        return True
    except Failed as why:
        traceback.print_exc()
        print(f"FAIL it-asks-{name}-about-what-is-ended {str(why)[:500]}", flush=True)
        return False
    finally:
        stage.end()


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
