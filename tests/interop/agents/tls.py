#!/usr/bin/env python3
"""Plays scenarios over TLS, against servers of its own: tls.py WORK SERVER [CLIENT COMMAND... --]...

In a command, `@namesrv` stands for the name server. Prints a line for each client and scenario, `for CLIENT: PASS name
(details)` or FAIL, and one of its own at the end.
"""

import itertools
import os
import re
import subprocess
import sys
import time
import traceback

from desk import Failed
from scenarios import SCENARIOS as ORDINARY
from stage import Skipped, Stage, require, text

SCENARIOS = {}
PLAYED = ["sync", "async", "one-mebibyte", "push-consumer-with-tags"]
SMALL = '[store]\nsegment_bytes = "64 MiB"\n'
READY = re.compile(r"cuemq is ready: name server ([^ ,]+), broker ([^ ,]+),")
# What our client says then; Java's does not say why.
TOLD = "the server may want TLS"
REFUSAL = "it speaks without TLS, and tls.mode (tls.server.mode) is enforcing"


def scenario(name, server):
    """Declares a scenario against the server of that name."""

    def declare(play):
        SCENARIOS[name] = server, play
        return play

    return declare


class Server:
    """A server with its own data, until it is stopped."""

    def __init__(self, work, program, name, settings):
        self.log = f"{work}/{name}.log"
        file = f"{work}/{name}.toml"
        with open(file, "w") as out:
            out.write(SMALL + settings)
        ports = ["--port", "0", "--namesrv-port", "0"]
        command = [program, "server", "--data", f"{work}/{name}", "-c", file, *ports]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=open(self.log, "ab"), text=True)
        ready = READY.match(self.process.stdout.readline())
        require(ready, f"the server did not say that it is ready; see {self.log}")
        self.namesrv = ready[1]

    def log_bytes(self):
        return os.path.getsize(self.log)

    def says(self, words, begin, seconds=30):
        """Waits for a line of the log behind its first bytes."""
        deadline = time.monotonic() + seconds
        while True:
            with open(self.log) as log:
                log.seek(begin)
                if any(words in line for line in log):
                    return
            require(time.monotonic() < deadline, f"the server's log has no line with {words!r}")
            time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        try:
            return self.process.wait(60) == 0
        except subprocess.TimeoutExpired:
            self.process.kill()
            return False


def asking(command, server):
    """The command of a client of that server."""
    return [server.namesrv if word == "@namesrv" else word for word in command]


def secured(command, server, *flags):
    """The command of a client that speaks TLS, in its own way."""
    command = asking(command, server)
    return [command[0], "-Dtls.enable=true", *flags, *command[1:]] if command[0] == "java" else command


def trusting(client, command, server, work):
    """The command of a client that takes this authority's servers alone, and has a certificate of its own: Java's, or ours."""
    folder = f"{work}/cuemq-tls"
    if client == "rust":
        return ["env", f"CUEMQ_TLS={folder}", *asking(command, server)]
    return secured(command, server, f"-Dtls.config.file={folder}/client.properties")


def stage_of(client, command, work):
    # Groups are called after their client, and have no dots.
    return Stage(client.replace(".", "-"), command, [], f"{work}/tls-{client}.err", lambda: False)


def ordinary(client, command, work, names=PLAYED):
    """Plays ordinary scenarios with the client, and says how it went."""
    stage = stage_of(client, command, work)
    try:
        for name in names:
            stage.scenario = name
            ORDINARY[name](stage)
    finally:
        stage.end()
    return ", ".join(names)


@scenario("tls-permissive", "permissive")
def permissive(client, command, server, work):
    """The server's certificate is one that it made itself, and the client takes any."""
    if client == "rust":
        raise Skipped("this client takes only what an authority has signed")
    return ordinary(client, secured(command, server), work)


@scenario("tls-enforcing", "enforcing")
def enforcing(client, command, server, work):
    """The server shows a certificate of an authority that Java's clients and ours trust; Go's takes any."""
    return ordinary(client, trusting(client, command, server, work), work)


@scenario("tls-client-certificates", "certificates")
def certificates(client, command, server, work):
    """The clients show certificates of that authority as well."""
    if client == "go":
        raise Skipped("this client shows no certificate")
    return ordinary(client, trusting(client, command, server, work), work, ["sync"])


@scenario("tls-plain-is-refused", "enforcing")
def plain(client, command, server, work):
    """A client without TLS sends nothing where it is enforced, and the log says why."""
    if client == "go":
        raise Skipped("this program was built with TLS")
    stage = stage_of(client, asking(command, server), work)
    stage.scenario = "plain"
    before = server.log_bytes()
    try:
        try:
            stage.send(stage.producer(), text(stage.group("topic"), 1))
        except Failed as refused:
            server.says(REFUSAL, before)
            require(client != "rust" or TOLD in str(refused), f"it is told {refused}")
            return f"refused: {str(refused)[:60]}".replace("\n", " ")
        raise Failed("its message was taken")
    finally:
        stage.end()


def clients(words):
    while words:
        end = words.index("--")
        yield words[0], words[1:end]
        words = words[end + 1 :]


def main():
    work, program, *rest = sys.argv[1:]
    settings = subprocess.run([program, "tls", "init", "--dir", f"{work}/cuemq-tls"], check=True, capture_output=True, text=True).stdout
    asks_for_none = settings.replace('client_auth = "require"\n', "")
    kinds = {"permissive": "", "enforcing": asks_for_none, "certificates": settings}
    servers, failed, played = {}, 0, 0
    try:
        for kind, own in kinds.items():
            servers[kind] = Server(work, program, f"tls-{kind}", own)
        for (client, command), (name, (kind, play)) in itertools.product(clients(rest), SCENARIOS.items()):
            began = time.monotonic()
            try:
                line = f"PASS {name} ({play(client, command, servers[kind], work)}; {(time.monotonic() - began) * 1000:.0f} ms)"
            except Skipped as why:
                line = f"SKIP {name} {why}"
            except Exception as why:
                traceback.print_exc()
                line = f"FAIL {name} {str(why)[:500]}"
            print(f"for {client}: {line}", flush=True)
            played += 1
            failed += line.startswith("FAIL")
    finally:
        in_order = [server.stop() for server in servers.values()]
        failed += in_order.count(False)
    print(f"{'FAIL' if failed else 'PASS'} tls ({played} played, {failed} failed)", flush=True)
    return failed == 0


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
