"""Two client programs at one desk: one sends, the other one receives."""

from desk import Agent

# What the one that sends must be able to do, and what the one that receives; of the rest, both.
SENDING = {"sync", "async", "oneway", "batch", "transactions", "delays", "creates-topics"}
RECEIVING = {"push", "pull", "polls", "streams", "refuses", "refuses-one", "retries", "broadcasts", "filters", "obeys"}


class Pair(Agent):
    def __init__(self, name, sender, receiver, errors):
        self.name = name
        self.sender = Agent(f"{name}, which sends,", sender, errors)
        self.receiver = Agent(f"{name}, which receives,", receiver, errors, beside=self.sender)
        self.changed, self.arrivals = self.sender.changed, self.sender.arrivals
        # Who is told to stop what runs under a name.
        self.owners = {}
        both = self.sender.can & self.receiver.can
        self.can = (self.sender.can & SENDING) | (self.receiver.can & RECEIVING) | (both - SENDING - RECEIVING)

    def begin(self, do, **form):
        if do == "stop":
            agent = self.owners.pop(form["name"])
        else:
            agent = self.sender if do in ("producer", "transactor", "send", "batch", "request") else self.receiver
        if do in ("producer", "transactor", "consumer"):
            self.owners[form["name"]] = agent
        return agent, agent.begin(do, **form)

    def answer(self, call):
        agent, number = call
        return agent.answer(number)

    def wait(self, condition, seconds, what):
        self.receiver.wait(condition, seconds, what)

    def end(self):
        self.sender.end()
        self.receiver.end()
