"""A Bellhop client, written from PROTOCOL.md alone with Python's standard library; checks.py uses it."""

import itertools
import os
import socket
import struct
import sys
import threading
import time
from collections import namedtuple

LIST, CREATE, LOGIN, LOGOUT, DELETE, SEND, DELIVER = range(7)
HELLO, POST, MESSAGE, ACK, PING, RECEIPT, TOKEN, RESUME, READ = range(7, 16)
WATCH, PRESENCE, TYPING, PASSWORD = 0x11, 0x12, 0x13, 0x15
NOTICE = 0xFF
CODES = """ok malformed unknown-op too-long not-utf8 bad-text hello-first version not-logged-in already-logged-in
    bad-name name-taken no-such-user bad-password password-needed tls-needed registration-closed bad-token stale-counter
    mailbox-full receipts-full rate-limited busy storage too-many-sessions replaced account-deleted shutting-down
    timed-out not-allowed""".split()
STORED, HANDED_OVER, SEEN_BEFORE = range(3)
DELIVERED, WAS_READ, EXPIRED, REFUSED = 1, 2, 3, 4
Text = namedtuple("Text", "sender text")
Message = namedtuple("Message", "seq id time sender text")
Receipt = namedtuple("Receipt", "seq id state time peer")
Posted = namedtuple("Posted", "outcome id time")
ADDRESS = sys.argv[1], int(sys.argv[2])
mine = threading.local()  # the connections of the check that this thread runs
numbers = itertools.count(1)


class Differs(Exception):
    """The server does something else than the page says."""


def same(got, wanted, what):
    if got != wanted:
        raise Differs(f"{what}: got {str(got)[:300]}, wanted {str(wanted)[:300]}")


def fresh(name):
    return f"{name}{next(numbers)}"


def str8(text):
    return bytes([len(text.encode())]) + text.encode()


def str16(text):
    return struct.pack(">H", len(text.encode())) + text.encode()


def framed(op, data=b""):
    data = data.encode() if isinstance(data, str) else data
    return struct.pack(">IB", len(data), op) + data


class Client:
    """One connection. `ask` waits for an answer; what the server pushes meanwhile is kept for `take`."""

    def __init__(self, name=None, op=CREATE, device=None, features=0):
        self.socket, self.buffer, self.pushed, self.pings = socket.create_connection(ADDRESS, 10), b"", [], 0
        mine.open.append(self)
        if device:
            answer = self.ask(HELLO, b"\0\1" + device + struct.pack(">I", features) + str8("book/1"))
            same(answer[:2] + answer[4:8], b"\0\0" + struct.pack(">I", features), "status and features of HELLO")
        if name:
            self.account, *self.waiting = self.ok(op, name)

    def send(self, op, data=b""):
        self.socket.sendall(framed(op, data))

    def frame(self, timeout=10):
        """The next frame but for PINGs, which are answered; None at the end of the stream."""
        deadline = time.monotonic() + timeout
        while True:
            if len(self.buffer) >= 5:
                length, op = struct.unpack(">IB", self.buffer[:5])
                if length > 65536:
                    raise Differs(f"the server sends a frame of {length} bytes")
                if len(self.buffer) >= 5 + length:
                    data, self.buffer = self.buffer[5 : 5 + length], self.buffer[5 + length :]
                    if op != PING:
                        return op, data
                    self.pings += 1
                    self.send(PING | 0x80, data)
                    continue
            self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            piece = self.socket.recv(1 << 18)
            if not piece:
                same(self.buffer, b"", "half a frame before the end")
                return None
            self.buffer += piece

    def answer(self, op):
        while True:
            got = self.frame()
            if got and got[0] in (DELIVER, MESSAGE, RECEIPT):
                self.pushed.append(item(*got))
            elif got and got[0] == op | 0x80:
                return got[1]
            else:
                raise Differs(f"waiting for the answer to {op:02x}: got {got}")

    def ask(self, op, data=b""):
        self.send(op, data)
        return self.answer(op)

    def ok(self, op, data=b""):
        """The fields of a text answer after its `ok`."""
        word, *fields = self.ask(op, data).decode().split("|")
        same(word, "ok", f"answer to {op:02x} {data[:40]!r}: {fields[:1]}")
        return fields

    def take(self, count, timeout=10):
        """The next pushed items."""
        while len(self.pushed) < count:
            got = self.frame(timeout)
            if got is None or got[0] not in (DELIVER, MESSAGE, RECEIPT):
                raise Differs(f"{len(self.pushed)} of {count} items, then {got}")
            self.pushed.append(item(*got))
        taken, self.pushed = self.pushed[:count], self.pushed[count:]
        return taken

    def silent(self, seconds=0.3):
        """Nothing more comes."""
        try:
            raise Differs(f"expected silence: {self.pushed[:3] or self.frame(seconds)}")
        except TimeoutError:
            pass

    def ended(self, word=None, timeout=10):
        """The server says why (where it should), and closes in order."""
        if word:
            op, data = self.frame(timeout) or (None, b"")
            same((op, data.decode().split("|")[:2]), (NOTICE, ["error", word]), "the reason to close")
        same(self.frame(timeout), None, "the end of the stream")
        self.socket.close()

    def drop(self):
        """Break the connection, with a reset, as a crash does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def refused(self, word, op, data=b"", counter=None, closes=False, raw=None):
        """The op is refused with this word, in the form of its kind; the connection stays or is closed in order."""
        self.socket.sendall(raw or framed(op, data))
        got, answer = self.frame() or (None, b"")
        what = f"refusal of {op:02x} {data[:40]!r}"
        if op in (HELLO, PING, TOKEN, RESUME, WATCH, PASSWORD, POST):
            form, sentence, code = (
                op | 0x80,
                answer[14 if op == POST else 2 :],
                dict(enumerate(CODES)).get(int.from_bytes(answer[:2], "big")),
            )
            if op == POST and counter is not None:
                same(int.from_bytes(answer[2:10], "big"), counter, "counter of the refusal")
        else:
            form = NOTICE if op in (ACK, READ, TYPING, MESSAGE, RECEIPT, PRESENCE) or op >= 0x40 else op | 0x80
            first, code, sentence = answer.split(b"|", 2)
            same(first, b"error", what)
        code = code.decode() if isinstance(code, bytes) else code
        same((got, code), (form, word), what)
        same(
            bool(sentence.decode()) and "secret" not in sentence.decode(),
            True,
            f"{what} has a sentence: {sentence}",
        )
        self.ended() if closes else self.alive()
        return self

    def alive(self):
        same(self.ask(0x3E)[:17], b"error|unknown-op|", "an unknown op on a living connection")

    def post(self, counter, to, text, flags=0):
        self.send(POST, struct.pack(">QB", counter, flags) + str8(to) + text.encode())
        return self.posted(counter)

    def posted(self, counter):
        data = self.answer(POST)
        same((data[:2], len(data)), (b"\0\0", 35), f"answer to POST {counter}: {data}")
        got, outcome, id, when = struct.unpack(">QB16sQ", data[2:])
        same((got, id[6] >> 4, id[8] >> 6), (counter, 8, 2), "counter, and a uuid of version 8")
        same(
            when == 0 if outcome == SEEN_BEFORE else when > 1.6e12, True, f"time {when} of outcome {outcome}"
        )
        return Posted(outcome, id, when)

    def ack(self, *ranges):
        self.send(ACK, b"".join(struct.pack(">QQ", first, last) for first, last in ranges))
        if len(ranges):  # a PING behind it: the server has read it
            same(self.ask(PING, b"acked?!?"), b"acked?!?", "answer to PING")

    def stream(self, count):
        """Open the stream and take what waits in it."""
        same(self.ok(DELIVER), [str(count)], "items not acknowledged")
        return self.take(count)


def item(op, data):
    if op == DELIVER:
        return Text(*data.decode().split("|", 1))
    if op == MESSAGE:
        seq, id, when, size = struct.unpack(">Q16sQB", data[:33])
        return Message(seq, id, when, data[33 : 33 + size].decode(), data[33 + size :].decode())
    return Receipt(*struct.unpack(">Q16sBQ", data[:33]), data[33:].decode())


def new_device():
    return os.urandom(16)


def texts(items):
    return [one.text for one in items]


CHECKS, SLOW = [], []


def check(function):
    CHECKS.append(function)


def slow(function):
    """A check that takes minutes, most of them waiting."""
    SLOW.append(function)
