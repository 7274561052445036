#!/bin/sh
# A worker for Gristmill with nothing but sh, curl, grep and sed:
#   worker.sh KIND COMMAND [ARGUMENT...]
# Takes tasks of KIND one after the other. COMMAND gets the whole task as JSON on its standard input; what it prints,
# which must be JSON, is the result. Does it end with another status than 0, the try has failed.
#   GRISTMILL_URL       where the daemon is (http://127.0.0.1:5000)
#   GRISTMILL_TOKEN     whom to work for; empty for nobody
#   GRISTMILL_WORKER    what this worker calls itself
#   GRISTMILL_LEASE_S   for how long a task is held without a word (30), in whole seconds
# On SIGTERM the task in hand is given back; one that was being claimed in that very moment is free when its lease ends.
set -u

[ $# -ge 2 ] || { echo "usage: worker.sh KIND COMMAND [ARGUMENT...]" >&2; exit 2; }
kind=$1
shift
url=${GRISTMILL_URL:-http://127.0.0.1:5000}
name=${GRISTMILL_WORKER:-shell-$$}
lease=${GRISTMILL_LEASE_S:-30}
folder=$(mktemp -d) || exit 1

# What runs beside us: the request or the command that is waited for, and the heart.
waited='' heart='' task='' attempt=''

# Where a token shows on no command line: `ps` tells those to everybody.
umask 077
mkfifo "$folder/up" || exit 1
printf 'header = "content-type: application/json"\n' >"$folder/curl"
if [ -n "${GRISTMILL_TOKEN:-}" ]; then
  printf 'header = "authorization: Bearer %s"\n' "$GRISTMILL_TOKEN" >>"$folder/curl"
fi

# say FILE PATH BODY [SECONDS]: the answer goes to FILE, and its status to standard output; 000 when there was none. To
# be called in a subshell, which becomes curl: who ends the one, ends the other.
say() {
  printf '%s' "$3" >"$1.said"
  exec curl -sS -K "$folder/curl" -m "${4:-10}" -o "$1" -w '%{http_code}' -X POST --data-binary "@$1.said" "$url$2"
}

# In the background, so that a signal need not wait for it: the shell hears signals while it waits.
wait_for() {
  waited=$1
  wait "$waited"
  status=$?
  waited=''
  return $status
}

# Says it until it is heard; the daemon refuses what comes twice, which is as good.
insist() {
  tries=0
  while :; do
    heard=$(say "$folder/heard" "$1" "$2")
    case $heard in
      2*) return 0 ;;
      4*) echo "$1: $(cat "$folder/heard")" >&2; return 1 ;;
    esac
    tries=$((tries + 1))
    [ $tries -lt "$lease" ] || return 1
    sleep 1
  done
}

# Prolongs the lease while the command runs, and stops the command when the task is not ours any more.
beat() {
  nap=''
  trap '[ -z "$nap" ] || kill "$nap" 2>/dev/null; exit 0' TERM
  echo beating >"$folder/up"
  while :; do
    sleep $((lease / 3 > 0 ? lease / 3 : 1)) &
    nap=$!
    wait "$nap"
    nap=''
    # Should the worker be killed, its heart must not beat on: the task is to go to another.
    kill -0 $$ 2>/dev/null || exit 0
    case $(say "$folder/beat" "/tasks/$task/heartbeat" "{\"attempt\":$attempt}") in
      4*) echo "task $task is not ours any more" >&2; kill "$1" 2>/dev/null; exit 0 ;;
    esac
  done
}

quiet() {
  [ -z "$heart" ] || { kill "$heart" 2>/dev/null; wait "$heart" 2>/dev/null; }
  heart=''
}

leave() {
  trap '' TERM INT
  [ -z "$waited" ] || kill "$waited" 2>/dev/null
  quiet
  [ -z "$task" ] || insist "/tasks/$task/release" "{\"attempt\":$attempt}"
  rm -rf "$folder"
  exit 0
}
trap leave TERM INT

work() {
  "$@" <"$folder/task" >"$folder/result" 2>"$folder/complaint" &
  command=$!
  beat "$command" &
  heart=$!
  # A signal to a shell that has not set its trap yet may get lost.
  read -r _ <"$folder/up"
  wait_for "$command"
  ended=$?
  quiet
  if [ $ended -eq 0 ]; then
    if insist "/tasks/$task/complete" "{\"attempt\":$attempt,\"result\":$(cat "$folder/result")}"; then
      echo "task $task is done"
    else
      # Perhaps it was no JSON.
      insist "/tasks/$task/fail" "{\"attempt\":$attempt,\"message\":\"what the command printed was refused\"}"
    fi
  else
    cat "$folder/complaint" >&2
    insist "/tasks/$task/fail" "{\"attempt\":$attempt,\"message\":\"the command ended with status $ended\"}"
  fi
  task='' attempt=''
}

while :; do
  claim="{\"kinds\":[\"$kind\"],\"wait_s\":20,\"lease_s\":$lease,\"worker\":\"$name\"}"
  say "$folder/task" /tasks/claim "$claim" 40 >"$folder/status" &
  wait_for $!
  case $(cat "$folder/status") in
    200)
      # A task begins with its id, and its attempt stands before anything that somebody else wrote.
      task=$(sed -n 's/^{"id":\([0-9]*\),.*/\1/p' "$folder/task")
      attempt=$(grep -o '"attempt":[0-9]*' "$folder/task" | sed -n '1s/.*://p')
      work "$@"
      ;;
    204) ;;
    *)
      echo "no task can be had: $(cat "$folder/status") $(cat "$folder/task" 2>/dev/null)" >&2
      sleep 1 &
      wait_for $!
      ;;
  esac
done
