#!/usr/bin/env python3
"""A worker for Gristmill: takes tasks of one kind, does them, and says how it went.

Which task waits it hears from the queue `gristmill.run.<kind>`; that is a hint only. The task is this worker's when the
claim over HTTP says so, and a hint whose task somebody else has by now is forgotten. Hints get lost, so it also asks
for any task of its kind now and then, and without a broker it does only that.

While the work goes on in a thread of its own, the main thread prolongs the lease. Is the lease lost all the same (this
process was frozen, the network was away), the task is somebody else's: the work is told to stop, and what it made does
not count. On SIGTERM the task in hand is finished, or given back when that takes too long.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import os
import random
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from typing import Any, Callable

import pika
import pika.exceptions


def resize(payload: dict[str, Any], progress: Callable[[int], None], stop: threading.Event) -> dict[str, Any]:
    """Stands in for your own work: takes `seconds` in `steps`, tells how far it is, and gives half of `width`.

    What it raises fails the try; a ValueError says that another try would not go better.
    """
    width, seconds, steps = payload.get("width", 640), payload.get("seconds", 0), payload.get("steps", 10)
    if not isinstance(width, int) or width < 1:
        raise ValueError(f"width must be a whole number from 1 on, and is {width!r}")
    for step in range(steps):
        if stop.wait(seconds / steps):
            break
        progress(100 * (step + 1) // steps)
    return {"width": width // 2}


class Refused(Exception):
    """The daemon says no, and would again: the task is not ours, or not any more."""


class Away(Exception):
    """The daemon does not answer, or cannot now."""


class Daemon:
    """The routes for workers."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url.rstrip("/")
        self.headers = {"content-type": "application/json"}
        if token:
            self.headers["authorization"] = f"Bearer {token}"

    def post(self, path: str, body: dict[str, Any], patience: float = 10, key: str | None = None) -> Any:
        headers = self.headers | ({"idempotency-key": key} if key else {})
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=patience) as answer:
                return json.loads(answer.read() or "null")
        except urllib.error.HTTPError as error:
            with error:
                if error.code < 500 and error.code != 408:
                    raise Refused(f"{path}: {error.code} {error.read().decode(errors='replace')}") from error
            raise Away(f"{path}: {error.code}") from error
        except (OSError, http.client.HTTPException) as error:
            raise Away(f"{path}: {error}") from error


class Hints:
    """The run queue; without a broker, nothing ever comes from it."""

    def __init__(self, broker: str | None, kind: str) -> None:
        self.broker, self.queue = broker, f"gristmill.run.{kind}"
        self.connection: pika.BlockingConnection | None = None
        self.channel: Any = None
        self.tag: int | None = None
        self.again_at = 0.0

    def connected(self) -> bool:
        if self.connection is None and self.broker and time.monotonic() >= self.again_at:
            try:
                self.connection = pika.BlockingConnection(pika.URLParameters(self.broker))
                self.channel = self.connection.channel()
                # One at a time: what this worker does not do is for others.
                self.channel.basic_qos(prefetch_count=1)
                # The daemon makes the queue with the kind's first task; a passive look fails until then.
                self.channel.queue_declare(self.queue, passive=True)
            except (pika.exceptions.AMQPError, OSError) as trouble:
                self.lost(trouble)
        return self.connection is not None

    def next(self, patience: float) -> int | None:
        """The id in the next hint, which is in hand until `done`."""
        try:
            method, _, body = next(self.channel.consume(self.queue, inactivity_timeout=patience))
            if method is None:
                return None
            self.tag = method.delivery_tag
            return int(json.loads(body)["id"])
        except (pika.exceptions.AMQPError, OSError, StopIteration) as trouble:
            self.lost(trouble)
        except (ValueError, KeyError, TypeError):
            print("a hint that is none is forgotten", file=sys.stderr)
            self.done()
        return None

    def done(self) -> None:
        """The hint in hand is done with. Only then the broker gives this worker another; meanwhile others get them."""
        tag, self.tag = self.tag, None
        if tag is None or self.connection is None:
            return  # On a connection that was lost it comes again, to whomever, and is refused or claimed.
        try:
            self.channel.basic_ack(tag)
        except (pika.exceptions.AMQPError, OSError) as trouble:
            self.lost(trouble)

    def breathe(self) -> None:
        """Lets the connection live while the work goes on."""
        if self.connection is None:
            return
        try:
            self.connection.process_data_events(0)
        except (pika.exceptions.AMQPError, OSError) as trouble:
            self.lost(trouble)

    def lost(self, trouble: BaseException) -> None:
        print(f"no hints for now: {trouble!r}", file=sys.stderr)
        self.close()
        self.again_at = time.monotonic() + random.uniform(0.5, 1.5) * 2

    def close(self) -> None:
        connection, self.connection, self.channel, self.tag = self.connection, None, None, None
        try:
            if connection and connection.is_open:
                connection.close()
        except (pika.exceptions.AMQPError, OSError):
            pass  # It is gone either way.


class Worker:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.daemon = Daemon(options.url, options.token)
        self.hints = Hints(options.broker, options.kind)
        self.told_to_end: float | None = None
        self.signals = 0
        self.hinted: int | None = None
        self.looked = -math.inf

    def end(self, *_: object) -> None:
        self.told_to_end = self.told_to_end or time.monotonic()
        self.signals += 1

    def run(self) -> None:
        while self.told_to_end is None:
            try:
                task = self.claim()
                if task:
                    self.do(task)
                    self.hints.done()
            except Refused as refused:
                self.hints.done()
                print(refused, file=sys.stderr)
                time.sleep(1)
            except Away as away:
                print(f"the daemon is away: {away}", file=sys.stderr)
                time.sleep(random.uniform(0.5, 1.5))
        self.hints.close()

    def claim(self) -> dict[str, Any] | None:
        terms = {"lease_s": self.options.lease_s, "worker": self.options.name}
        hinting = self.hints.connected()
        if hinting and self.hinted is None:
            self.hinted = self.hints.next(min(1, self.options.look_s))
        if self.hinted is not None:
            try:
                # While the daemon is away the hint is kept, and tried again.
                task = self.daemon.post("/tasks/claim", {"id": self.hinted} | terms)
            except Refused:
                # Somebody else was quicker, or it ended: the hint has served.
                self.hinted = None
                self.hints.done()
                return None
            self.hinted = None
            return task
        if self.told_to_end or hinting and time.monotonic() - self.looked < self.options.look_s:
            return None
        # Beside hints this is a look for what they left out; else it waits, in steps that let a signal in.
        wait = 0 if hinting else min(self.options.look_s, 20)
        wanted = {"kinds": [self.options.kind], "wait_s": wait}
        task = self.daemon.post("/tasks/claim", wanted | terms, patience=wait + 10)
        if task is None:
            self.looked = time.monotonic()
        return task

    def do(self, task: dict[str, Any]) -> None:
        mine = {"attempt": task["attempt"]}
        path = f"/tasks/{task['id']}"
        percent: list[int] = []
        outcome: list[tuple[str, dict[str, Any]]] = []
        stop = threading.Event()

        def work() -> None:
            try:
                result = resize(task.get("payload") or {}, percent.append, stop)
                outcome.append(("complete", mine | {"result": result}))
            except Exception as error:  # Whatever it was, the daemon is told.
                again = not isinstance(error, ValueError)
                outcome.append(("fail", mine | {"message": (str(error) or repr(error))[:2000], "retry": again}))

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        beat = time.monotonic()
        told = 0
        while thread.is_alive():
            thread.join(0.05)
            self.hints.breathe()
            if self.told_to_end and (
                self.signals > 1 or time.monotonic() - self.told_to_end > self.options.grace_s
            ):
                stop.set()
                self.insist(f"{path}/release", mine)
                return
            new = percent[-1] if percent else 0
            if time.monotonic() - beat < (self.options.lease_s / 3 if new == told else 0.2):
                continue
            beat = time.monotonic()
            try:
                # Progress prolongs the lease as well.
                if new != told:
                    self.daemon.post(f"{path}/progress", mine | {"percent": new}, patience=self.options.lease_s)
                    told = new
                else:
                    self.daemon.post(f"{path}/heartbeat", mine, patience=self.options.lease_s)
            except Refused as refused:
                print(f"the task is not ours any more: {refused}", file=sys.stderr)
                stop.set()
                return
            except Away as away:
                print(f"no heartbeat: {away}", file=sys.stderr)
        word, said = outcome[0]
        self.insist(f"{path}/{word}", said)
        print(f"task {task['id']} attempt {task['attempt']}: {word}", flush=True)

    def insist(self, path: str, said: dict[str, Any]) -> None:
        """Says it until it is heard. The key makes the second time an answer to the first."""
        until = time.monotonic() + max(self.options.lease_s, 30)
        while True:
            try:
                self.daemon.post(path, said, key=f"{path}-{said['attempt']}".replace("/", "-"))
                return
            except Away:
                # After that the lease is over, and the task somebody else's.
                if time.monotonic() > until:
                    raise
                time.sleep(random.uniform(0.5, 1))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:5000", help="where the daemon is")
    parser.add_argument("--token", default=os.environ.get("GRISTMILL_TOKEN"), help="better: GRISTMILL_TOKEN")
    parser.add_argument("--broker", default=os.environ.get("GRISTMILL_BROKER"), help="amqp://...; none: HTTP only")
    parser.add_argument("--kind", default="resize", help="listed in the daemon's kinds.outside")
    parser.add_argument("--name", default=f"{socket.gethostname()[:40]}-{os.getpid()}", help="for people and logs")
    parser.add_argument("--lease-s", type=float, default=30)
    parser.add_argument("--look-s", type=float, default=5, help="how often to look for what hints left out")
    parser.add_argument("--grace-s", type=float, default=20, help="after SIGTERM, before the task is given back")
    return parser.parse_args()


def main() -> int:
    worker = Worker(arguments())
    signal.signal(signal.SIGTERM, worker.end)
    signal.signal(signal.SIGINT, worker.end)
    worker.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
