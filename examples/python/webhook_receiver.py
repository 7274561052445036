#!/usr/bin/env python3
"""Receives Gristmill's webhooks: checks that each is from the daemon, and prints its event as a line of JSON.

The signature is the one of the Standard Webhooks (https://www.standardwebhooks.com): HMAC with SHA-256 over
`<webhook-id>.<webhook-timestamp>.<body>`, with the daemon's secret. A message that is too old is refused, so that nobody
can send again what he overheard; one whose id is known already is taken for a repetition and only said yes to.

Answers 204 for what was taken (now or before), 400 for what is no message, 401 for what is not from the daemon. Whatever
is not 2xx the daemon sends again later; so say 2xx only when the event is safe where it belongs.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import hmac
import json
import os
import sys
import threading
import time
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Protocol

# How far the message's time may be from ours, in seconds.
TOLERANCE = 300
# An event with the largest result that there can be, and some room.
MOST_BYTES = 1_000_000
# How many ids are remembered. Yours belong into the database, in the transaction that deals with the event.
REMEMBERED = 10_000


class Malformed(Exception):
    """No message as the standard has it."""


class Forged(Exception):
    """Not from the daemon, or not from now."""


def key_of(secret: str) -> bytes:
    return base64.b64decode(secret.strip().removeprefix("whsec_"), validate=True)


class Headers(Protocol):
    def get(self, name: str, /) -> str | None: ...


def verify(key: bytes, headers: Headers, body: bytes, now: float) -> str:
    """The id of a message that is genuine."""
    id, sent, signatures = (headers.get(f"webhook-{part}") for part in ("id", "timestamp", "signature"))
    if not id or not sent or not signatures:
        raise Malformed("a header is missing")
    if not (sent.isascii() and sent.isdigit()):
        raise Malformed("the timestamp is no number of seconds")
    if abs(now - int(sent)) > TOLERANCE:
        raise Forged("the timestamp is not of now: is this machine's clock right?")
    expected = hmac.digest(key, f"{id}.{sent}.".encode() + body, hashlib.sha256)
    # There may be several, of old and new secrets.
    for signature in signatures.split(" "):
        version, _, encoded = signature.partition(",")
        try:
            given = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            continue
        # In constant time: how long a comparison takes must not tell how much of it was right.
        if version == "v1" and hmac.compare_digest(given, expected):
            return id
    raise Forged("no signature is right")


class Inbox:
    """What came, each once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.known: OrderedDict[str, None] = OrderedDict()

    def take(self, id: str, message: dict) -> None:
        with self.lock:
            if id in self.known:
                return
            # This is where your own work begins.
            print(json.dumps(message), flush=True)
            self.known[id] = None
            if len(self.known) > REMEMBERED:
                self.known.popitem(last=False)


class Handler(BaseHTTPRequestHandler):
    key: bytes
    inbox: Inbox
    # Who sends its body drop by drop is cut off.
    timeout = 10

    def do_POST(self) -> None:
        try:
            body = self.body()
            id = verify(self.key, self.headers, body, time.time())
            message = json.loads(body)
        except Forged as why:
            return self.answer(401, str(why))
        except (Malformed, ValueError) as why:
            return self.answer(400, str(why))
        self.inbox.take(id, message)
        self.answer(204)

    def body(self) -> bytes:
        length = self.headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()) or int(length) > MOST_BYTES:
            raise Malformed("no length, or too much")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise Malformed("cut short")
        return body

    def answer(self, status: int, why: str = "") -> None:
        self.send_response(status)
        if why:
            self.send_header("content-type", "text/plain; charset=utf-8")
            self.send_header("content-length", str(len(why.encode())))
        self.end_headers()
        self.wfile.write(why.encode())

    def log_message(self, format: str, *rest: object) -> None:
        print(f"{self.address_string()} {format % rest}", file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bind", default="127.0.0.1:8080")
    parser.add_argument(
        "--secret-file", type=Path, help="the daemon's <data_dir>/webhook.secret; else WEBHOOK_SECRET, in the environment"
    )
    options = parser.parse_args()
    if options.secret_file is None and not os.environ.get("WEBHOOK_SECRET"):
        parser.error("there must be a secret: --secret-file, or WEBHOOK_SECRET in the environment")
    return options


def main() -> int:
    options = arguments()
    secret = options.secret_file.read_text() if options.secret_file else os.environ["WEBHOOK_SECRET"]
    Handler.key, Handler.inbox = key_of(secret), Inbox()
    host, _, port = options.bind.rpartition(":")
    server = ThreadingHTTPServer((host, int(port)), Handler)
    print(f"listening on {host}:{server.server_port}", file=sys.stderr, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
