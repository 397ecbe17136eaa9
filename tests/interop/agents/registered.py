#!/usr/bin/env python3
"""Waits until a name server knows a broker: registered.py NAMESRV BROKER [FOLDER]

A broker of 5.3.3 says that it serves some ten seconds before it registers. With a folder of `cuemq tls init` it is asked with TLS.
"""

import json
import socket
import ssl
import struct
import sys
import time

# GET_BROKER_CLUSTER_INFO
HEADER = json.dumps({"code": 106, "flag": 0, "language": "JAVA", "opaque": 0, "serializeTypeCurrentRPC": "JSON", "version": 273}).encode()


def ask(namesrv, folder):
    """The answer, in which a broker's address is readable as it stands."""
    host, port = namesrv.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 2) as connection:
        connection.settimeout(2)
        if folder:
            trusting = ssl.create_default_context(cafile=f"{folder}/ca.pem")
            trusting.load_cert_chain(f"{folder}/client.pem", f"{folder}/client.key")
            connection = trusting.wrap_socket(connection, server_hostname=host)
        connection.sendall(struct.pack(">II", 4 + len(HEADER), len(HEADER)) + HEADER)
        stream = connection.makefile("rb")
        return stream.read(struct.unpack(">I", stream.read(4))[0])


def main():
    namesrv, broker, folder = (*sys.argv[1:], None)[:3]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if f'{broker}"'.encode() in ask(namesrv, folder):
                return True
        except (OSError, struct.error):
            pass
        time.sleep(0.2)
    return False


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
