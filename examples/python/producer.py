#!/usr/bin/env python3
"""Asks Gristmill for one task over RabbitMQ, and waits for what becomes of it.

The message carries a message_id, so that it may be sent again whenever it is not certain that it arrived: the same id
makes one task. Answers come to a queue that is named after the message_id, so that this program may be started again
with the same --message-id and goes on waiting. Each answer is printed as a line of JSON: the task's id, then how it
ended. Ends with 0 when the task completed, with 1 when it did not, with 2 when nothing was heard in time.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import uuid

import pika
import pika.exceptions

# What is worth another try: the broker is away, or nobody has made the queue yet.
PASSING = (pika.exceptions.AMQPError, OSError)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--broker", default=os.environ.get("GRISTMILL_BROKER", "amqp://127.0.0.1"))
    parser.add_argument("--queue", default="task_queue", help="where Gristmill takes tasks from (broker.queue)")
    parser.add_argument("--kind", default="noop")
    parser.add_argument("--payload", type=json.loads, help="the kind's input, as JSON")
    parser.add_argument("--priority", type=int, choices=range(0, 101), metavar="0..100", default=0)
    parser.add_argument("--expire-s", type=float, help="so many seconds from now it is too late to start")
    parser.add_argument("--message-id", default=str(uuid.uuid4()))
    parser.add_argument("--wait-s", type=float, default=60, help="how long to wait for the end")
    return parser.parse_args()


def properties(options: argparse.Namespace, answers: str) -> pika.BasicProperties:
    expiration = None if options.expire_s is None else str(int(options.expire_s * 1000))
    return pika.BasicProperties(
        content_type="application/json",
        delivery_mode=2,
        message_id=options.message_id,
        priority=options.priority,
        expiration=expiration,
        reply_to=answers,
        correlation_id=options.message_id,
        headers={"reply-on": "completed"},
    )


def ask(options: argparse.Namespace, deadline: float) -> int | None:
    """Sends the message and waits for the answers on one connection; None when there was no end of it in time."""
    task = {"kind": options.kind}
    if options.payload is not None:
        task["payload"] = options.payload
    with pika.BlockingConnection(pika.URLParameters(options.broker)) as connection:
        channel = connection.channel()
        answers = f"producer.{options.message_id}"
        # It outlives this connection, and goes ten minutes after nobody asks for it any more.
        channel.queue_declare(answers, arguments={"x-expires": 600_000})
        # From now on publishing waits for the broker's word, and raises where no queue takes the message.
        channel.confirm_delivery()
        channel.basic_publish(
            exchange="",
            routing_key=options.queue,
            body=json.dumps(task),
            properties=properties(options, answers),
            mandatory=True,
        )
        known = False
        while time.monotonic() < deadline:
            silence = (None, None, None)
            method, answer, body = next(channel.consume(answers, inactivity_timeout=1), silence)
            if method is None or answer is None or body is None:
                continue
            channel.basic_ack(method.delivery_tag)
            if answer.correlation_id != options.message_id:
                continue
            # The id is told again with each repetition of the message, and may come after a quick end.
            if answer.type == "gristmill.ending" or not known:
                print(body.decode(), flush=True)
            known = True
            if answer.type == "gristmill.ending":
                channel.cancel()
                channel.queue_delete(answers)
                return 0 if json.loads(body)["status"] == "Completed" else 1
        return None


def main() -> int:
    options = arguments()
    deadline = time.monotonic() + options.wait_s
    print(f"message {options.message_id}", file=sys.stderr)
    while time.monotonic() < deadline:
        try:
            ended = ask(options, deadline)
        except PASSING as trouble:
            print(f"trying again: {trouble!r}", file=sys.stderr)
            time.sleep(1)
            continue
        if ended is not None:
            return ended
    print("no end was heard of in time; ask again with the same --message-id", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
