#!/usr/bin/env python3
"""Listens to what becomes of tasks, and prints each event as a line of JSON.

From the broker: a queue of its own, bound to the exchange `gristmill.events` with a pattern such as `task.*.resize` or
`task.failed.#`. With a name (--queue) the queue stays, and keeps what comes while nobody listens. After an outage of the
daemon or the broker some events come again; their number, which only rises, tells.

With --sse from the daemon itself, over HTTP and with nothing but the standard library: the stream is taken up again after
the last event that was heard, so that none is missed and none comes twice.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
from typing import Iterable, Iterator, NoReturn

EXCHANGE = "gristmill.events"


class Enough(Exception):
    """As many events were heard as were asked for."""


class Printer:
    """Deals with events: here your own work begins."""

    def __init__(self, count: int | None) -> None:
        self.left = count

    def hear(self, event: str) -> None:
        json.loads(event)  # What is printed is JSON, or this ends loudly.
        print(event, flush=True)
        if self.left is not None:
            self.left -= 1

    def check(self) -> None:
        if self.left == 0:
            raise Enough


def from_the_broker(options: argparse.Namespace, printer: Printer) -> NoReturn:
    # Here, since the other half of this program does without.
    import pika
    import pika.exceptions

    last = -1
    while True:
        try:
            with pika.BlockingConnection(pika.URLParameters(options.broker)) as connection:
                channel = connection.channel()
                # As the daemon declares it, so that it does not matter who comes first.
                channel.exchange_declare(EXCHANGE, exchange_type="topic", durable=True)
                kept = bool(options.queue)
                queue = channel.queue_declare(options.queue, durable=kept, exclusive=not kept).method.queue
                channel.queue_bind(queue, EXCHANGE, options.pattern)
                channel.basic_qos(prefetch_count=100)
                print(f"listening for {options.pattern}", file=sys.stderr, flush=True)
                for method, properties, body in channel.consume(queue):
                    number = int(properties.message_id)
                    if number > last:
                        printer.hear(body.decode())
                        last = number
                    # Only now, so that what was not dealt with comes again.
                    channel.basic_ack(method.delivery_tag)
                    printer.check()
        except (pika.exceptions.AMQPError, OSError) as trouble:
            print(f"the broker is away: {trouble!r}", file=sys.stderr)
        time.sleep(1)


def frames(lines: Iterable[bytes]) -> Iterator[dict[str, str]]:
    """The events of a stream: fields, one a line, up to an empty line. What begins with a colon is a sign of life."""
    fields: dict[str, str] = {}
    for line in lines:
        text = line.decode().rstrip("\r\n")
        if not text:
            if fields:
                yield fields
            fields = {}
        elif not text.startswith(":"):
            name, _, value = text.partition(":")
            fields[name] = value.removeprefix(" ")


def from_the_daemon(options: argparse.Namespace, printer: Printer) -> NoReturn:
    last, pause = options.after, 1.0
    path = "/events" if options.task is None else f"/tasks/{options.task}/events"
    while True:
        headers = {"accept": "text/event-stream"}
        if options.token:
            headers["authorization"] = f"Bearer {options.token}"
        if last is not None:
            headers["last-event-id"] = str(last)
        try:
            request = urllib.request.Request(options.url.rstrip("/") + path, headers=headers)
            # A sign of life comes every 15 seconds: three missed ones, and the connection is dead.
            with urllib.request.urlopen(request, timeout=45) as stream:
                print(f"listening to {path} after {last}", file=sys.stderr, flush=True)
                for frame in frames(stream):
                    if "retry" in frame:
                        pause = int(frame["retry"]) / 1000
                    if "data" in frame:
                        printer.hear(frame["data"])
                        last = frame["id"]
                        printer.check()
        except urllib.error.HTTPError as error:
            with error:
                if error.code < 500:
                    sys.exit(f"{path}: {error.code} {error.read().decode(errors='replace')}")
            print(f"the daemon cannot now: {error.code}", file=sys.stderr)
        except (OSError, http.client.HTTPException) as trouble:
            print(f"the daemon is away: {trouble!r}", file=sys.stderr)
        time.sleep(pause)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--broker", default=os.environ.get("GRISTMILL_BROKER", "amqp://127.0.0.1"))
    parser.add_argument("--pattern", default="task.#", help="task.<event>.<kind>; * is one word, # any number")
    parser.add_argument("--queue", default="", help="a queue that stays; else one that goes with the connection")
    parser.add_argument("--sse", action="store_true", help="over HTTP, without a broker")
    parser.add_argument("--url", default="http://127.0.0.1:5000", help="where the daemon is, for --sse")
    parser.add_argument("--token", default=os.environ.get("GRISTMILL_TOKEN"), help="better: GRISTMILL_TOKEN")
    parser.add_argument("--task", type=int, help="with --sse: of this task alone")
    parser.add_argument("--after", type=int, help="with --sse: what came after the event of this number, 0 for all")
    parser.add_argument("--count", type=int, help="end after so many events")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    try:
        (from_the_daemon if options.sse else from_the_broker)(options, Printer(options.count))
    except Enough:
        return 0


if __name__ == "__main__":
    sys.exit(main())
