#!/usr/bin/env bash
# Runs a daemon beside a journal of its own, in a namespace where /run is empty (`unshare --mount`), and prints what
# journalctl finds of its first task, as JSON. Standard error of the daemon is the journal's, as under systemd.
#   unshare --mount tests/deploy/journal.sh <gristmill> <folder>
set -euo pipefail
gristmill=$1 folder=$2
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal
/usr/lib/systemd/systemd-journald &
journald=$!
trap 'kill "$journald"' EXIT

# Until something is there, for no longer than half a minute.
await() {
  for _ in $(seq 600); do
    "$@" && return
    sleep 0.05
  done
  echo "journal.sh: in vain: $*" >&2
  exit 1
}
found() { journalctl --quiet --directory /run/log/journal --output json "$@"; }

await test -S /run/systemd/journal/stdout
cd "$folder"
export GRISTMILL__HTTP__BIND=127.0.0.1:0 GRISTMILL__LOG__LEVEL=info,gristmill=debug GRISTMILL__SHUTDOWN__GRACE_S=1
# As systemd does it for services; systemd-cat does not before 254.
# shellcheck disable=SC2016 # for that shell
as_a_service='JOURNAL_STREAM=$(stat --dereference --format=%d:%i /proc/self/fd/2) exec "$1" serve'
systemd-cat --identifier=before sh -c "$as_a_service" sh "$gristmill" &
daemon=$!
listens() { address=$(found --identifier before | grep -o 'http://127.0.0.1:[0-9]*' | sed -n 1p); }
await listens
curl --silent --fail --output /dev/null --request POST --header 'prefer: wait=20' --header 'x-request-id: r-17' "$address/tasks"
over() { found TASK_ID=1 | grep 'the run is over' >/dev/null; }
await over
curl --silent --output /dev/null --header 'x-request-id: r-18' --data '{"kind":"none"}' \
  --header 'content-type: application/json' "$address/tasks"
refused() { found REQUEST_ID=r-18 | grep refused >/dev/null; }
await refused
kill -TERM "$daemon"
wait "$daemon"
found TASK_ID=1
found REQUEST_ID=r-18
