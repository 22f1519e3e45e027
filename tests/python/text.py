"""Checks of the seven operations as text, and of frames."""

import struct
import time
import uuid

from bellhop import (
    ACK,
    CREATE,
    Client,
    DELETE,
    DELIVER,
    HELLO,
    LIST,
    LOGIN,
    LOGOUT,
    MESSAGE,
    NOTICE,
    PING,
    POST,
    PRESENCE,
    READ,
    RECEIPT,
    RESUME,
    SEND,
    TOKEN,
    Text,
    check,
    framed,
    fresh,
    new_device,
    numbers,
    same,
    str8,
    texts,
)


@check
def accounts():
    """CREATE, LOGOUT with and without the name, LOGIN under any spelling, DELETE"""
    name = fresh("Ann")
    ann = Client(name)
    same(str(uuid.UUID(ann.account)) == ann.account and uuid.UUID(ann.account).version, 4, "account uuid")
    same(ann.ok(LOGOUT), [], "LOGOUT")
    same(ann.ok(LOGIN, name.upper()), [ann.account, "0"], "LOGIN in capitals")
    same(ann.ok(LOGOUT, name), [], "LOGOUT with the name")
    same(Client(name + "|", LOGIN).account, ann.account, "LOGIN with an empty password")
    other, third = Client(name, LOGIN), Client(name, LOGIN, new_device())
    for data in (name, "open sesame"):
        other.refused("bad-password", DELETE, data)
    same(other.ok(DELETE), [], "DELETE")
    third.ended("account-deleted")
    other.refused("not-logged-in", LOGOUT)
    other.refused("no-such-user", LOGIN, name)
    same(other.ok(CREATE, name)[0] == ann.account, False, "a new account of an old name is another")


@check
def names():
    """Which names may be, and which are one: folding, normal forms, bytes"""
    one, n = Client(), next(numbers)
    for name in (
        "",
        "a b",
        "a\tb",
        "a\x7f",
        "a\x85",
        "a\u200bb",
        "a\u202eb",
        "a\u00adb",
        "a\U000e0041",
        "a\ufe0f",
        "a\u3164",
        "a\u2028",
        "a\u2029",
        "a\u00a0b",
        "a\u3000",
        "a@b",
        "#a",
        "a*",
        "a?",
        "a/b",
        "a\\b",
        "a,b",
        "x" * 33,
        "é" * 16 + "x",
    ):
        one.refused("bad-name", CREATE, name)
    one.ok(CREATE, f"Straße{n}")
    one.ok(LOGOUT)
    one.ok(CREATE, f"Ame\u0301lie{n}")
    one.ok(LOGOUT)
    for taken in (f"Straße{n}", f"STRASSE{n}", f"strasse{n}", f"AMÉLIE{n}"):
        Client().refused("name-taken", CREATE, taken).socket.close()
    for name in ("x" * 32, "é" * 16, "ΐ" * 16, f"Ѕtrasse{n}", "😀" * 8, "a-b.c'd:e;f&<g>\"%$"):
        same(len(one.ok(CREATE, name)), 1, f"CREATE {name}")
        one.ok(LOGOUT)
    same(Client(f"STRASSE{n}", LOGIN).ok(LIST, f"Strass?{n}"), [f"Straße{n}"], "shown as it was created")


@check
def passwords():
    """A password has 8 to 256 bytes, may hold bars, and is asked for"""
    one, name = Client(), fresh("Pat")
    for bad in ("1234567", "x" * 257, "ééé|"):
        one.refused("bad-password", CREATE, f"{name}|{bad}")
    one.ok(CREATE, f"{name}|open|sesame")
    one.ok(LOGOUT)
    one.refused("bad-password", LOGIN, f"{name}|open|sesam")
    same(len(one.ok(LOGIN, f"{name}|open|sesame")), 2, "LOGIN")
    one.refused("bad-password", DELETE, "open")
    one.refused("password-needed", DELETE)
    one.ok(LOGOUT)
    one.refused("password-needed", LOGIN, name)
    one.ok(LOGIN, f"{name}|open|sesame")
    one.ok(DELETE, "open|sesame")
    one.ok(CREATE, name)
    one.ok(LOGOUT)
    one.refused("bad-password", LOGIN, f"{name}|open|sesame")
    one.ok(LOGIN, name)
    one.ok(DELETE)
    for length in (8, 256):
        one.ok(CREATE, f"{name}|{'é' * (length // 2)}")
        one.ok(DELETE, "é" * (length // 2))


@check
def listing():
    """LIST: everything, patterns, folding, after a name, nothing; before login too"""
    tag = f"q{next(numbers)}"
    for name in ("cy", "Bo", "al", "bO2", "dée"):
        Client(tag + name)
    one = Client()
    for pattern, wanted in (
        (f"{tag}*", "al Bo bO2 cy dée"),
        (f"{tag.upper()}B*", "Bo bO2"),
        (f"{tag}?O", "Bo"),
        (f"{tag}bo", "Bo"),
        (f"{tag}*|{tag}BO", "bO2 cy dée"),
        (f"{tag}*|{tag}b", "Bo bO2 cy dée"),
        (f"{tag}*|{tag}zz", ""),
        (f"{tag}*|{tag}bo #*", "bO2 cy dée"),
        (f"{tag}*".ljust(128, "*"), "al Bo bO2 cy dée"),
        (f"*{tag}D?E", "dée"),
        (f"{tag}*D?e*", "dée"),
        (f"{tag}?", ""),
        ("*nobody*", ""),
    ):
        same(one.ok(LIST, pattern), [tag + name for name in wanted.split()], f"LIST {pattern}")
    one.refused("malformed", LIST, "*" * 129)
    same(one.ask(LIST, f"|{tag}cy").decode().split("|")[1], f"{tag}dée", "LIST with an empty pattern")
    for pattern in ("", "*"):
        same(set(every(one, pattern)) >= {tag + "al", tag + "dée"}, True, "LIST of all")


def every(one, pattern):
    """The names of all answers, until one is not `more`."""
    names, word = [], "more"
    while word == "more":
        word, *some = one.ask(LIST, f"{pattern or '*'}|{names[-1]}" if names else pattern).decode().split("|")
        names += some
    same(word, "ok", "the last answer to LIST")
    return names


@check
def sending():
    """SEND: live and queued, in order with the count, to itself, every kind of text, the largest, refusals"""
    names = fresh("Ada"), fresh("Bob")
    ada, bob = Client(names[0]), Client(names[1])
    kinds = ["hi", "", "|", "a|b||", "naïve ✓ 😀 \u202e\r\n\t", "x" * 16384, " "]
    for text in kinds:
        word, id = ada.ok(SEND, f"{names[1].upper()}|{text}")
        same((word, uuid.UUID(id).version, id), ("delivered", 4, id.lower()), "answer to SEND")
        same(bob.take(1), [Text(names[0], text)], "live message")
    bob.ok(LOGOUT)
    for text in kinds:
        same(ada.ok(SEND, f"{names[1]}|{text}")[0], "queued", "answer to SEND")
    bob.silent()
    same(bob.ok(LOGIN, names[1])[1], str(len(kinds)), "messages waiting")
    bob.silent()
    same((bob.ok(DELIVER), texts(bob.pushed)), ([str(len(kinds))], kinds), "DELIVER")
    bob.pushed.clear()
    same((bob.ok(DELIVER), bob.pushed), (["0"], []), "DELIVER again")
    same(ada.ok(SEND, f"{names[0]}|note")[0], "delivered", "SEND to itself")
    same(ada.take(1), [Text(names[0], "note")], "message to itself")
    ada.refused("no-such-user", SEND, fresh("nobody") + "|secret")
    ada.refused("no-such-user", SEND, f"{names[1]}@elsewhere|secret")
    ada.refused("malformed", SEND, names[1])
    ada.refused("too-long", SEND, f"{names[1]}|" + "x" * 16385)
    ada.refused("bad-text", SEND, f"{names[1]}|secret\0")
    for bad in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82"):
        ada.refused("not-utf8", SEND, names[1].encode() + b"|secret" + bad)
    same(
        bob.ok(LOGOUT) + ada.ok(SEND, f"{names[1]}|bye")[:1] + ada.ok(DELETE), ["queued"], "SEND, then DELETE"
    )
    bob.ok(LOGIN, names[1])
    bob.ok(DELIVER)
    same(bob.take(1), [Text(names[0], "bye")], "a message outlives its sender")
    same(
        bob.ok(DELETE) + bob.ok(CREATE, names[1])[1:] + bob.ok(LOGOUT) + bob.ok(LOGIN, names[1])[1:],
        ["0"],
        "nothing inherited",
    )


@check
def states():
    """The table of states: each op before HELLO, after it, before and after login"""
    for device in (None, new_device()):
        one, name = Client(device=device), fresh("Sam")
        for op in (LOGOUT, DELETE, SEND, DELIVER):
            one.refused("not-logged-in", op, "x|secret" if op == SEND else b"")
            one.refused("not-logged-in", op, b"\xff")
        one.refused("not-allowed", MESSAGE)
        one.refused("malformed", PING | 0x80, b"1234567")
        one.send(PING | 0x80, b"12345678")
        one.silent()
        samples = {
            POST: struct.pack(">QB", 7, 0) + str8("x") + b"secret",
            ACK: bytes(15) + b"\1",
            READ: bytes(16) + str8("x"),
            TOKEN: b"",
            RESUME: bytes(32),
            PING: b"12345678",
            HELLO: b"\0\1" + bytes(21),
        }
        for op in (POST, ACK, READ, TOKEN):
            one.refused("not-logged-in" if device else "hello-first", op, samples[op], 7)
        one.refused("hello-first", HELLO, samples[HELLO])
        if device:
            same(one.ask(PING, b"12345678"), b"12345678", "PING before login")
            one.refused("bad-token", RESUME, bytes(32))
        one.ok(LIST, name)
        one.ok(CREATE, name)
        for op in (CREATE, LOGIN):
            one.refused("already-logged-in", op, name)
            one.refused("already-logged-in", op, b"\xff")
        for op in (HELLO, RESUME) if device else samples:
            one.refused("already-logged-in" if device and op == RESUME else "hello-first", op, samples[op], 7)
        one.refused("not-logged-in", LOGOUT, fresh("other"))
        one.ok(LOGOUT)
        one.refused("not-logged-in", LOGOUT)


@check
def refusals():
    """Unknown ops, ops that a client may not send, text that is none: each in its form, and the connection stays"""
    for one in (Client(fresh("Rob")), Client(fresh("Ron"), device=new_device())):
        for op in (0x10, 0x14, 0x3F):
            one.refused("unknown-op", op, "secret")
        for op in (MESSAGE, RECEIPT, PRESENCE, 0x40, 0x7F, 0x80, 0x85, 0x9F, 0xFE, 0xFF):
            one.refused("not-allowed", op, "secret")
        for op in (LIST, LOGOUT, DELETE, SEND):
            one.refused("not-utf8", op, b"a|\xff\xfe")
            one.refused("bad-text", op, b"a|\0")
    for op in (CREATE, LOGIN):
        Client().refused("not-utf8", op, b"secret\xff")
        Client().refused("bad-text", op, b"secret\0")


@check
def frames_too_long():
    """A frame over the limit is answered from its header and the connection closed; at the limit it is not"""
    for op in (CREATE, SEND, 0x3F, NOTICE):
        Client().refused("too-long", op, closes=True, raw=struct.pack(">IB", 1025, op) + bytes(500))
    one = Client(fresh("Lou"))
    one.refused("too-long", SEND, f"{fresh('x')}|".ljust(65536, "x"))
    one.socket.sendall(framed(LOGOUT) + struct.pack(">IB", 1025, LOGIN) + bytes(9000))
    same(
        (one.answer(LOGOUT), one.answer(LOGIN)[:15]),
        (b"ok", b"error|too-long|"),
        "the small limit runs again",
    )
    one.ended()
    for op in (LIST, SEND, POST, ACK, PING):
        one = Client(fresh("Len"), device=new_device())
        one.refused("too-long", op, closes=True, raw=struct.pack(">IB", 65537, op) + bytes(65537))
    one = Client()
    one.refused("bad-name", CREATE, "x" * 1024)
    same(
        [one.ask(0x3E)[:17] for _ in range(20)], [b"error|unknown-op|"] * 20, "many refusals, one connection"
    )


@check
def pipelining():
    """Frames in one write, in single bytes, behind a CREATE: answers in order; more than 1,024 SENDs at once"""
    names = fresh("Zoe"), fresh("Yan")
    zoe, yan = Client(), Client(names[1])
    zoe.socket.sendall(
        framed(CREATE, names[0])
        + framed(SEND, f"{names[1]}|" + "y" * 2000)
        + framed(LOGOUT)
        + framed(SEND, "x|y")
    )
    same(
        [zoe.frame()[0] for _ in range(4)] + texts(yan.take(1)),
        [0x81, 0x85, 0x83, 0x85, "y" * 2000],
        "frames behind a CREATE",
    )
    zoe.ok(LOGIN, names[0])
    for byte in framed(SEND, f"{names[1]}|in pieces"):
        zoe.socket.sendall(bytes([byte]))
        time.sleep(0.005)
    same(
        (zoe.answer(SEND)[:13], texts(yan.take(1))),
        (b"ok|delivered|", ["in pieces"]),
        "one frame, byte by byte",
    )
    zoe.socket.sendall(
        framed(SEND, "nobody at all|x")
        + framed(0x3F)
        + framed(SEND, "x")
        + framed(LOGOUT, names[1])
        + framed(LOGOUT, names[0])
    )
    same(
        [(op, data.split(b"|")[1:2]) for op, data in (zoe.frame() for _ in range(5))],
        [
            (0x85, [b"bad-name"]),
            (0xBF, [b"unknown-op"]),
            (0x85, [b"malformed"]),
            (0x83, [b"not-logged-in"]),
            (0x83, []),
        ],
        "five frames in one write",
    )
    for count, sender in ((500, Client(fresh("Xia"))), (1100, Client(fresh("Wes")))):
        sender.socket.sendall(
            b"".join(framed(SEND, f"{names[1] if n % 50 else 'nobody-'}|{n}") for n in range(count))
        )
        words = [sender.answer(SEND).split(b"|")[1] for _ in range(count)]
        same(
            words,
            [b"delivered" if n % 50 else b"no-such-user" for n in range(count)],
            f"answers to {count} SENDs in order",
        )
        same(
            texts(yan.take(count - count // 50)),
            [str(n) for n in range(count) if n % 50],
            f"messages of {count} SENDs",
        )


@check
def taken():
    """Pushed to a text session: waits again after a broken connection, but not after a request"""
    ann, name = Client(fresh("Ann")), fresh("Ben")
    ben = Client(name)
    ann.ok(SEND, f"{name}|one")
    same(texts(ben.take(1)), ["one"], "pushed")
    second = Client(name, LOGIN)
    same(
        (second.waiting, second.ok(DELIVER), texts(second.pushed)),
        (["1"], ["1"], ["one"]),
        "a second connection before it is taken",
    )
    second.drop()
    ben.drop()
    ben = Client(name, LOGIN)
    same(
        (ben.waiting, ben.ok(DELIVER), texts(ben.pushed)),
        (["1"], ["1"], ["one"]),
        "after a broken connection",
    )
    ben.drop()
    ben = Client(name, LOGIN)
    same(
        (ben.waiting, ben.ok(DELIVER), texts(ben.pushed)),
        (["1"], ["1"], ["one"]),
        "after DELIVER and a broken connection",
    )
    ben.socket.close()
    ben = Client(name, LOGIN)
    same(
        (ben.ok(DELIVER), texts(ben.take(1)), ben.ok(LOGOUT), ben.ok(LOGIN, name)[1:]),
        (["1"], ["one"], [], ["0"]),
        "LOGOUT takes",
    )
    ann.ok(SEND, f"{name}|two")
    ben.take(1)
    ben.ok(LIST, name)
    ben.drop()
    ben = Client(name, LOGIN)
    same((ben.waiting, ben.ok(DELIVER)), (["0"], ["0"]), "a request takes")
    begun = framed(LIST, name)
    ben.socket.sendall(begun[:7])
    time.sleep(0.3)
    ann.ok(SEND, f"{name}|three")
    ben.take(1)
    ben.socket.sendall(begun[7:])
    ben.answer(LIST)
    ben.drop()
    ben = Client(name, LOGIN)
    same(
        (ben.waiting, ben.ok(DELIVER), texts(ben.pushed)),
        (["1"], ["1"], ["three"]),
        "a request begun before the push takes nothing",
    )
