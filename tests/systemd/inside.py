"""Tries the package and its units under the systemd of the container that tests/systemd/try boots.

Every function below `CHECKS` is one thing that must be true; its doc string is what is printed. They go in their order,
and the first that fails ends it, with what systemd and the journal know.
"""

import http.client
import json
import os
import pathlib
import select
import signal
import socket
import struct
import subprocess
import threading
import time
import traceback
import zlib

TRY = pathlib.Path("/try")
PORT = 5000
UNIT = "gristmill.service"
DROP_IN = pathlib.Path("/run/systemd/system/gristmill.service.d")
DATA = pathlib.Path("/var/lib/gristmill")
UNITS = [UNIT, "gristmill.socket", "gristmill-backup.service", "gristmill-backup.timer"]


def run(*command, good=True):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    assert not good or done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def ctl(*words, good=True):
    return run("systemctl", *words, good=good).strip()


def show(name, unit=UNIT):
    return ctl("show", "--value", "-p", name, unit)


def eventually(what, look, within=40):
    until = time.monotonic() + within
    while time.monotonic() < until:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {within} s: {what}")


def ask(method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    headers = {"content-type": "application/json"} if body is not None else {}
    connection.request(method, path, json.dumps(body) if body is not None else None, headers)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, json.loads(data) if data.startswith((b"{", b"[")) else data


def task(number):
    return ask("GET", f"/tasks/{number}")[1]


def ended(number):
    def look():
        seen = task(number)
        return seen if seen["status"] in ("Completed", "Failed", "Cancelled") else None

    return eventually(f"task {number} to end", look)


def settings(**keys):
    """Puts settings where secrets go, and no others."""
    lines = "".join(f"GRISTMILL__{key}={value}\n" for key, value in keys.items())
    env = pathlib.Path("/etc/gristmill/env")
    env.write_text(lines)
    env.chmod(0o600)


def drop_in(text):
    """Changes the unit, or with nothing takes all changes back."""
    DROP_IN.mkdir(parents=True, exist_ok=True)
    file = DROP_IN / "try.conf"
    if text:
        file.write_text(f"[Service]\n{text}\n")
    else:
        file.unlink(missing_ok=True)
    ctl("daemon-reload")


def as_gristmill(*words, token=None):
    """The command line as the daemon's user: as the operator, or as the user with this token."""
    env = ["env", "HOME=/tmp"] + ([f"GRISTMILL_TOKEN={token}"] if token else [])
    return run("setpriv", "--reuid=gristmill", "--regid=gristmill", "--init-groups", *env, "gristmill",
               "--config", "/etc/gristmill/gristmill.toml", *words)


class Source(threading.Thread):
    """A source of questions that answers when it is told to: so a task runs for as long as a check wants."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 5999))
        self.go = threading.Event()
        self.asked = 0

    def run(self):
        while True:
            threading.Thread(target=self.answer, args=self.listener.accept()[:1], daemon=True).start()

    def answer(self, connection):
        with connection:
            connection.recv(65536)
            self.asked += 1
            number = self.asked
            self.go.wait()
            clue = [{"id": number, "question": f"What is {number}?", "answer": f"{number}", "category": {"title": "n"}}]
            body = json.dumps(clue).encode()
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            try:
                connection.sendall(head.encode() + body)
            except OSError:
                pass

    def running_task(self):
        """A task that runs until `go`."""
        self.go.clear()
        before = self.asked
        status, made = ask("POST", "/tasks", {"kind": "quiz", "payload": {"questions_num": 1}})
        assert status == 201, (status, made)
        eventually("the source to be asked", lambda: self.asked > before)
        return made["id"]


SOURCE = Source()


class Caller(threading.Thread):
    """Asks without a pause until it is told to end: on a new connection each time, or on one for as long as it is kept."""

    def __init__(self, keeps):
        super().__init__(daemon=True)
        self.keeps, self.over = keeps, False
        self.made, self.failures, self.longest, self.connections = [], [], 0.0, 0

    def run(self):
        connection = None
        while not self.over:
            begun = time.monotonic()
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
                    connection.connect()
                    self.connections += 1
                connection.request("POST", "/tasks", '{"kind":"noop"}', {"content-type": "application/json"})
                answer = connection.getresponse()
                body, closes = answer.read(), answer.will_close
                if answer.status == 201:
                    self.made.append(json.loads(body)["id"])
                else:
                    self.failures.append(f"{answer.status}: {body[:200]}")
                if closes or not self.keeps:
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
                connection = None
            self.longest = max(self.longest, time.monotonic() - begun)


class Idler(threading.Thread):
    """Keeps a connection, and asks now and then; looks before it asks whether it was closed, as clients do that keep any."""

    def __init__(self, pause):
        super().__init__(daemon=True)
        self.pause, self.over, self.failures, self.answers = pause, False, [], 0

    def run(self):
        connection = None
        while not self.over:
            try:
                if connection is not None and select.select([connection], [], [], 0)[0]:
                    connection.close()
                    connection = None
                if connection is None:
                    connection = socket.create_connection(("127.0.0.1", PORT), timeout=60)
                connection.sendall(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
                answer = connection.recv(65536)
                if not answer.startswith(b"HTTP/1.1 200"):
                    self.failures.append(f"answered {answer[:100]!r}")
                    connection = None
                else:
                    self.answers += 1
                    if b"connection: close" in answer.lower():
                        connection.close()
                        connection = None
            except OSError as error:
                self.failures.append(f"{type(error).__name__}: {error}")
                connection = None
            time.sleep(self.pause)


def under_load(act):
    """Does something while many ask; each must be answered, and each task that was made must be done."""
    callers = [Caller(keeps) for keeps in (False, False, True, True)]
    idlers = [Idler(pause) for pause in (0.05, 0.31)]
    for thread in callers + idlers:
        thread.start()
    time.sleep(0.5)
    act()
    time.sleep(0.5)
    for thread in callers + idlers:
        thread.over = True
    for thread in callers + idlers:
        thread.join(60)
    failures = [failure for thread in callers + idlers for failure in thread.failures]
    made = [number for caller in callers for number in caller.made]
    told = (f"{len(made)} tasks and {sum(idler.answers for idler in idlers)} looks on"
            f" {sum(caller.connections for caller in callers)} connections, {len(failures)} failures,"
            f" the longest wait {max(caller.longest for caller in callers):.2f} s")
    assert not failures, f"{told}: {failures[:5]}"
    assert len(made) == len(set(made)) and len(made) > 100, told
    eventually("all tasks to be done", lambda: done_since(made), 60)
    return told


def done_since(made):
    """Whether nothing is left to do, and every one of these tasks is there and completed."""
    if ask("GET", "/tasks?status=New&limit=1")[1] or ask("GET", "/tasks?status=In%20Progress&limit=1")[1]:
        return False
    wrong = [number for number in made[:: max(1, len(made) // 200)] if task(number)["status"] != "Completed"]
    assert not wrong, wrong
    return True


def a_wav():
    rate, seconds = 8000, 2
    samples = b"".join(struct.pack("<h", (i * 997) % 20000 - 10000) for i in range(rate * seconds))
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(samples), b"WAVE", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16,
                       b"data", len(samples))
    return head + samples


def a_png():
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + bytes((x * y) % 256 for x in range(3 * 64)) for y in range(48))
    head = struct.pack(">IIBBBBB", 64, 48, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def installs_and_starts_nothing():
    """the package installs, and nothing runs, listens or is enabled"""
    run("dpkg", "-i", "/try/gristmill.deb")
    for unit in [UNIT, "gristmill.socket", "gristmill-backup.timer"]:
        assert ctl("is-active", unit, good=False) == "inactive", unit
        assert ctl("is-enabled", unit, good=False) == "disabled", unit
    with socket.socket() as knock:
        assert knock.connect_ex(("127.0.0.1", PORT)) != 0, "somebody listens"
    assert run("getent", "passwd", "gristmill").split(":")[5:7] == ["/var/lib/gristmill", "/usr/sbin/nologin\n"]
    assert not DATA.exists()
    for page in ["gristmill", "gristmill-serve"]:
        assert pathlib.Path(f"/usr/share/man/man1/{page}.1.gz").is_file(), page


def units_are_sound():
    """systemd finds nothing wrong with the units, and the sandbox's exposure is at most 2.0"""
    told = run("systemd-analyze", "verify", "--man=no", *UNITS)
    assert "gristmill" not in told, told
    levels = []
    for unit in [UNIT, "gristmill-backup.service"]:
        told = run("systemd-analyze", "security", "--no-pager", "--threshold=20", unit)
        levels.append(told.strip().splitlines()[-1].split(":", 1)[1].strip())
    return "; ".join(levels)


def starts_when_ready():
    """`systemctl enable --now` returns once the daemon is ready, and its status says so"""
    settings(IMAGES__FORMATS="jpeg,png,avif", QUIZ__PROVIDER="bank")
    ctl("enable", "--now", "gristmill")
    status, board = ask("GET", "/health/ready")
    assert status == 200 and board["ready"], board
    assert show("ActiveState") == "active" and show("SubState") == "running"
    assert show("StatusText") == "ready, no task running", show("StatusText")
    assert show("WatchdogUSec") == "1min 30s", show("WatchdogUSec")
    assert ctl("is-active", "gristmill.socket") == "active"
    journal = run("journalctl", "-u", UNIT, "--no-pager")
    assert "listening on the socket that was handed over" in journal, journal
    owner = DATA.stat()
    assert (owner.st_mode & 0o777, pathlib.Path(DATA).owner()) == (0o700, "gristmill")
    pid = int(show("MainPID"))
    # The port is systemd's, and the daemon's by inheritance: there is one listening socket.
    assert pid > 1


def every_kind_works():
    """under the sandbox every built-in kind works: sound, images with AVIF's own process, a report, a quiz"""
    folder = pathlib.Path("/tmp/files")
    folder.mkdir()
    (folder / "talk.wav").write_bytes(a_wav())
    (folder / "dots.png").write_bytes(a_png())
    (folder / "told.avif").write_bytes((TRY / "told.avif").read_bytes())
    run("chmod", "-R", "a+rwX", str(folder))
    told = as_gristmill("upload", f"{folder}/dots.png", f"{folder}/told.avif", "--json")
    assert told.count('"thumbnail_url"') == 2, told
    status, ann = ask("POST", "/users", {"name": "ann"})
    assert status == 201, ann
    as_gristmill("transcode", f"{folder}/talk.wav", f"{folder}/talk.mp3", "--remote", token=ann["token"])
    assert (folder / "talk.mp3").stat().st_size > 1000
    told = as_gristmill("quiz", "2", "--json")
    assert told.count('"answer"') == 2, told
    as_gristmill("report", str(ann["id"]), "-o", f"{folder}/report.pdf", token=ann["token"])
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    as_gristmill("submit", "noop", "--wait")


def sandbox_holds():
    """within the sandbox nothing else can be written, seen or asked of the kernel"""
    pathlib.Path("/home/ann").mkdir(exist_ok=True)
    pathlib.Path("/tmp/of-others").touch()
    text = pathlib.Path("/lib/systemd/system/gristmill.service").read_text()
    for old, new in [("Type=notify", "Type=oneshot"), ("Restart=on-failure", "Restart=no"), ("WatchdogSec=90", ""),
                     ("ExecStart=/usr/bin/gristmill --config /etc/gristmill/gristmill.toml serve",
                      "ExecStart=/usr/bin/python3 /try/within.py\nStandardOutput=journal")]:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    pathlib.Path("/run/systemd/system/within.service").write_text(text)
    ctl("daemon-reload")
    ctl("start", "within.service", good=False)
    told = run("journalctl", "-u", "within.service", "--no-pager", "-o", "cat")
    assert show("Result", "within.service") == "success", told
    pid = show("MainPID")
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    for line in ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"]:
        assert line in status, (line, status)


def reload_opens_logs_anew():
    """a reload opens the logs anew, and is all that logrotate needs; the daemon stays"""
    before, log = show("MainPID"), pathlib.Path("/var/log/gristmill/app.log")
    assert "Success: " in log.read_text(), log.read_text()
    run("logrotate", "--force", "/etc/logrotate.d/gristmill")
    assert pathlib.Path("/var/log/gristmill/app.log.1").is_file(), run("ls", "-la", "/var/log/gristmill")
    as_gristmill("upload", "/tmp/files/dots.png")
    eventually("the new file to have a line", lambda: log.is_file() and "Success: " in log.read_text())
    assert show("MainPID") == before and show("ActiveState") == "active" and show("NRestarts") == "0"


def restarts_refuse_nobody():
    """under load, three restarts refuse, reset and forget nothing"""
    pids = {show("MainPID")}

    def restart():
        for _ in range(3):
            ctl("restart", UNIT)
            pids.add(show("MainPID"))

    told = under_load(restart)
    assert len(pids) == 4, pids
    return told


def drain_lets_finish_and_gives_back():
    """a stop lets a task finish that can, gives back one that cannot, and a request starts the daemon again"""
    settings(QUIZ__PROVIDER="jservice", QUIZ__URL="http://127.0.0.1:5999/", QUIZ__ALLOW="127.0.0.1/32",
             QUIZ__TIMEOUT_S="50", QUIZ__TIME_S="55", SHUTDOWN__GRACE_S="3", TASKS__RETRY_BASE_S="0.1")
    ctl("restart", UNIT)
    finishes = SOURCE.running_task()
    stop = subprocess.Popen(["systemctl", "stop", UNIT])
    eventually("the drain", lambda: show("ActiveState") == "deactivating")
    eventually("its status", lambda: show("StatusText").startswith("draining, 1 task running"))
    SOURCE.go.set()
    assert stop.wait(30) == 0
    assert show("Result") == "success" and show("ActiveState") == "inactive"
    # The socket is there, so whoever asks starts it.
    seen = task(finishes)
    assert (seen["status"], seen["attempt"]) == ("Completed", 1), seen
    eventually("the daemon", lambda: show("ActiveState") == "active")

    given_back = SOURCE.running_task()
    begun = time.monotonic()
    ctl("stop", UNIT)
    took = time.monotonic() - begun
    assert show("Result") == "success" and took < 15, took
    SOURCE.go.set()
    seen = ended(given_back)
    assert (seen["status"], seen["attempt"], seen["failures"]) == ("Completed", 2, 0), seen


def watchdog_kills_what_stands_still():
    """a process that stands still is killed and started again, and what it ran is done"""
    drop_in("WatchdogSec=4\nTimeoutAbortSec=2")
    ctl("restart", UNIT)
    # Fed for longer than the watchdog waits.
    before = show("MainPID")
    held = SOURCE.running_task()
    time.sleep(6)
    assert show("MainPID") == before and show("NRestarts") == "0", "the watchdog was not fed"
    os.kill(int(before), signal.SIGSTOP)
    begun = time.monotonic()
    SOURCE.go.set()
    eventually("another process", lambda: show("MainPID") not in (before, "0") and show("ActiveState") == "active")
    took = time.monotonic() - begun
    assert "Watchdog timeout" in run("journalctl", "-u", UNIT, "--no-pager"), "it was something else"
    seen = ended(held)
    assert (seen["status"], seen["attempt"]) == ("Completed", 2), seen
    return f"{took:.1f} s until it was ready again"


def watchdog_kills_what_waits_for_the_database():
    """so is one whose database answers no more"""
    drop_in("WatchdogSec=4\nTimeoutAbortSec=2\nEnvironment=GRISTMILL_FAILPOINT=commit_before:25=HANG")
    ctl("restart", UNIT)
    before = show("MainPID")
    drop_in("WatchdogSec=4\nTimeoutAbortSec=2")
    made, stuck = [], threading.Event()

    def ask_on():
        while not stuck.is_set():
            try:
                made.append(ask("POST", "/tasks", {"kind": "noop"})[1]["id"])
            except (OSError, http.client.HTTPException):
                stuck.set()

    threading.Thread(target=ask_on, daemon=True).start()
    eventually("another process", lambda: show("MainPID") not in (before, "0") and show("ActiveState") == "active")
    stuck.set()
    journal = run("journalctl", "-u", UNIT, "--no-pager")
    assert "the watchdog is not fed" in journal, journal
    assert all(ended(number)["status"] == "Completed" for number in made) and len(made) > 3, made
    drop_in("")


def another_address_is_the_sockets():
    """the socket's unit says where it listens and so who is let in; without it, `http.bind` does"""
    folder = pathlib.Path("/run/systemd/system/gristmill.socket.d")
    folder.mkdir()
    (folder / "try.conf").write_text("[Socket]\nListenStream=\nListenStream=[::]:5001\n")
    settings(HTTP__BIND="127.0.0.1:5002")

    def start_anew():
        ctl("daemon-reload")
        ctl("start", "gristmill")

    def post(port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/tasks", "{}", {"content-type": "application/json"})
        return connection.getresponse().status

    ctl("stop", "gristmill.socket", "gristmill")
    start_anew()
    assert post(5001) == 401, "everybody reaches that address, so callers have to prove who they are"
    ctl("stop", "gristmill.socket", "gristmill")
    ctl("mask", "--now", "--runtime", "gristmill.socket")
    start_anew()
    assert post(5002) == 201
    ctl("stop", "gristmill")
    ctl("unmask", "--runtime", "gristmill.socket")
    (folder / "try.conf").unlink()
    folder.rmdir()
    start_anew()


def an_upgrade_keeps_everything():
    """an upgrade keeps data and settings, and restarts what ran, with nobody refused"""
    conffile = pathlib.Path("/etc/gristmill/gristmill.toml")
    conffile.write_text(conffile.read_text() + "# of this machine\n")
    settings()
    ctl("restart", UNIT)
    before = show("MainPID")
    told = under_load(lambda: run("dpkg", "-i", "/try/newer.deb"))
    assert show("MainPID") != before and show("ActiveState") == "active"
    assert "# of this machine" in conffile.read_text()
    assert run("dpkg-query", "-W", "-f", "${Version}", "gristmill") == "9.9.9-1"
    assert task(1)["id"] == 1
    return told


def a_removal_stops_and_a_purge_leaves_the_data():
    """a removal stops it, a purge takes settings and logs, and the data stays"""
    run("dpkg", "-r", "gristmill")
    with socket.socket() as knock:
        assert knock.connect_ex(("127.0.0.1", PORT)) != 0, "somebody listens"
    assert pathlib.Path("/etc/gristmill/gristmill.toml").is_file()
    told = run("dpkg", "-P", "gristmill")
    assert "/var/lib/gristmill stays" in told, told
    assert not pathlib.Path("/etc/gristmill").exists() and not pathlib.Path("/var/log/gristmill").exists()
    assert (DATA / "gristmill.db").is_file()
    left = [str(path) for path in pathlib.Path("/etc/systemd/system").rglob("*gristmill*")]
    assert not left, left


def given(commands, folder):
    """gives the commands of a page to a shell, and what it printed"""
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", str(TRY / commands)],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def the_page_on_operations_is_true():
    """what docs/operations.md says to do from an empty machine on, works; so do a backup by its timer's service, its restoring by docs/backups.md, and the journal's fields"""
    pathlib.Path("/etc/gristmill").mkdir(exist_ok=True)
    folder = pathlib.Path("/root/page")
    folder.mkdir()
    (folder / "gristmill_0_amd64.deb").write_bytes((TRY / "gristmill.deb").read_bytes())
    done = given("commands", folder)
    assert "token" in done and "active (running)" in done, done
    assert ctl("is-active", "gristmill-backup.timer").strip() == "active"
    _, made = ask("POST", "/tasks")
    assert ended(made["id"])["status"] == "Completed"
    assert (DATA.stat().st_mode & 0o777, pathlib.Path("/var/log/gristmill").stat().st_mode & 0o777) == (0o700, 0o750)
    by_task = run("journalctl", "-u", UNIT, "--no-pager", "-o", "json", "_SYSTEMD_UNIT=gristmill.service")
    lines = [json.loads(line) for line in by_task.splitlines()]
    assert any(line.get("CODE_FILE") or line.get("TARGET") for line in lines), lines[-3:]
    ctl("start", "gristmill-backup.service")
    assert show("Result", "gristmill-backup.service") == "success", run(
        "journalctl", "-u", "gristmill-backup.service", "--no-pager", "-n", "20", good=False
    )
    # What came after the backup is not known any more, and what was in it is there as it was.
    before = task(made["id"])
    _, later = ask("POST", "/tasks")
    ended(later["id"])
    given("restoring", folder)
    eventually("the restored daemon", lambda: show("ActiveState") == "active")
    assert task(made["id"]) == before
    assert ask("GET", f"/tasks/{later['id']}")[0] == 404
    assert pathlib.Path("/var/lib/gristmill.old/backups").is_dir() and not (DATA / "backups").exists()


CHECKS = [
    installs_and_starts_nothing,
    units_are_sound,
    starts_when_ready,
    every_kind_works,
    sandbox_holds,
    reload_opens_logs_anew,
    restarts_refuse_nobody,
    drain_lets_finish_and_gives_back,
    watchdog_kills_what_stands_still,
    watchdog_kills_what_waits_for_the_database,
    another_address_is_the_sockets,
    an_upgrade_keeps_everything,
    a_removal_stops_and_a_purge_leaves_the_data,
    the_page_on_operations_is_true,
]


def main():
    SOURCE.start()
    for check in CHECKS:
        begun = time.monotonic()
        try:
            told = check()
        except BaseException:
            print(f"FAILED: {check.__doc__}\n{traceback.format_exc()}")
            print(ctl("status", "--no-pager", "-l", UNIT, good=False))
            print(run("journalctl", "-u", UNIT, "--no-pager", "-n", "40", good=False))
            return
        print(f"ok: {check.__doc__} ({f'{told}; ' if told else ''}{time.monotonic() - begun:.1f} s)")
    (TRY / "result").write_text("good")


main()
