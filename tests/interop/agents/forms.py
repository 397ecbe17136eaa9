"""The Python side of desk.py, for a client program: commands as lines on standard input, lines to standard output."""

import base64
import sys
import threading
import traceback
from urllib.parse import parse_qsl, urlencode

_printing = threading.Lock()


def say(**form):
    """Prints one line; what it is comes first."""
    line = urlencode({name.rstrip("_"): value for name, value in form.items() if value is not None})
    with _printing:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def answer(command, **result):
    say(call=command["call"], **result)


def text(body):
    return base64.b64encode(body).decode()


def body(form):
    return base64.b64decode(form["body"])


def under(prefix, form):
    """The members whose names begin with the prefix, without it."""
    return {name[len(prefix) :]: value for name, value in form.items() if name.startswith(prefix)}


def serve(abilities, work):
    """Works until standard input ends; `work` answers by itself, and what it raises is the answer otherwise."""
    say(can=abilities)
    for line in sys.stdin:
        command = dict(parse_qsl(line.strip(), keep_blank_values=True))
        try:
            work(command)
        except Exception as why:
            traceback.print_exc()
            answer(command, error=repr(why))
