"""Checks of the extension."""

import struct
import uuid

from bellhop import (
    ACK,
    CREATE,
    Client,
    DELETE,
    DELIVER,
    DELIVERED,
    HANDED_OVER,
    HELLO,
    LIST,
    LOGIN,
    LOGOUT,
    PASSWORD,
    PING,
    POST,
    Posted,
    PRESENCE,
    READ,
    REFUSED,
    RESUME,
    Receipt,
    SEEN_BEFORE,
    SEND,
    STORED,
    TOKEN,
    TYPING,
    WAS_READ,
    WATCH,
    check,
    framed,
    fresh,
    new_device,
    same,
    str16,
    str8,
    texts,
)


@check
def hello():
    """HELLO's answer, bytes after the last field, another version, malformed, not first"""
    one = Client()
    answer = one.ask(HELLO, b"\0\1" + new_device() + b"\0\0\0\5" + str8("naïve/1") + b"from the future")
    status, version, _, limit, window, heartbeat, size = struct.unpack(">HHIIHHB", answer[:17])
    same((status, version, limit, window, heartbeat), (0, 1, 65536, 1024, 30), "HELLO")
    same(
        bool(answer[17 : 17 + size].decode() and answer[18 + size :][: answer[17 + size]].decode()),
        True,
        "agent and node",
    )
    one = Client()
    same(
        b"1" in one.ask(HELLO, b"\0\2" + new_device() + bytes(5))[2:], True, "the sentence names the version"
    )
    one.refused("hello-first", PING, b"12345678")
    one.refused("hello-first", HELLO, b"\0\1" + new_device() + bytes(5))
    one.ok(CREATE, fresh("old"))
    for version in (0, 2, 65535):
        Client().refused("version", HELLO, struct.pack(">H", version) + bytes(21)).socket.close()
    for data in (b"", b"\0\1", b"\0\1" + bytes(20), b"\0\1" + bytes(20) + b"\5book"):
        one = Client().refused("malformed", HELLO, data)
        one.refused("hello-first", HELLO, b"\0\1" + new_device() + bytes(5)).socket.close()
    Client().refused("not-utf8", HELLO, b"\0\1" + bytes(20) + b"\1\xff")
    one = Client()
    one.ok(LIST, "nobody")
    one.refused("hello-first", HELLO, b"\0\1" + bytes(21))


@check
def malformed():
    """Binary frames of the wrong shape, each with its own kind of refusal"""
    one, name = Client(fresh("Mel"), device=new_device()), fresh("Max")
    Client(name)
    for data in (b"", bytes(8), bytes(9), bytes(7) + b"\5\0\7short", bytes(7) + b"\5\0"):
        one.refused("malformed", POST, data)
    for counter, flags in ((0, 0), (1 << 63, 0), ((1 << 64) - 1, 0), (7, 2), (7, 0x80)):
        one.refused("malformed", POST, struct.pack(">QB", counter, flags) + str8(name) + b"secret", counter)
    head = bytes(7) + b"\x09\0"
    for word, to, text in (
        ("no-such-user", str8("nobody-"), b"secret"),
        ("too-long", str8(name), bytes(b"x" * 16385)),
        ("bad-text", str8(name), b"secret\0"),
        ("not-utf8", str8(name), b"\xff"),
        ("not-utf8", b"\1\xff", b"x"),
    ):
        one.refused(word, POST, head + to + text, 9)
    same(one.post(9, name, "").outcome, HANDED_OVER, "a refused counter is not used up")
    for data in (b"", bytes(15), bytes(17), struct.pack(">QQ", 5, 4), struct.pack(">4Q", 1, 1, 9, 8)):
        one.refused("malformed", ACK, data)
    for data in (b"", bytes(16), bytes(16) + b"\2x", bytes(16) + b"\1xy"):
        one.refused("malformed", READ, data)
    for op, data in ((PING, b""), (PING, bytes(7)), (PING, bytes(9)), (TOKEN, b"x")):
        one.refused("malformed", op, data)
    one.ok(LOGOUT)
    for data in (b"", bytes(31), bytes(33)):
        one.refused("malformed", RESUME, data)


@check
def posting():
    """POST: stored, handed over, seen before (after reconnecting too), the window of counters, order after reconnect"""
    device, names = new_device(), (fresh("Pia"), fresh("Qin"))
    pia, qin = Client(names[0], device=device), Client(names[1], device=new_device())
    first = pia.post(5, names[1], "a|b ✓")
    same(first.outcome, STORED, "no stream is open")
    for to, text in ((names[1], "other"), ("nobody-", ""), ("x@elsewhere", ""), (names[1], "x" * 16385)):
        same(pia.post(5, to, text), Posted(SEEN_BEFORE, first.id, 0), f"again, to {to}")
    pia.refused("bad-name", POST, struct.pack(">QB", 5, 0) + str8("a b") + b"secret", 5)
    pia.refused("bad-text", POST, struct.pack(">QB", 5, 0) + str8(names[1]) + b"secret\0", 5)
    pia.refused("no-such-user", POST, struct.pack(">QB", 6, 0) + str8("x@elsewhere") + b"secret", 6)
    qin.silent()
    (got,) = qin.stream(1)
    same(got[1:], (first.id, first.time, names[0], "a|b ✓"), "MESSAGE")
    second = pia.post(6, names[1], "")
    same(
        (second.outcome, qin.take(1)[0][1:]),
        (HANDED_OVER, (second.id, second.time, names[0], "")),
        "live MESSAGE",
    )
    pia.drop()
    pia = Client(names[0], LOGIN, device)
    same(pia.post(6, names[1], "x"), Posted(SEEN_BEFORE, second.id, 0), "seen before, after reconnecting")
    pia.refused("no-such-user", POST, struct.pack(">QB", 9000, 0) + str8("nobody-"), 9000)
    same(
        (pia.post(2000, names[1], "x").outcome, pia.post(977, names[1], "y").outcome),
        (HANDED_OVER, HANDED_OVER),
        "inside the window",
    )
    pia.refused("stale-counter", POST, struct.pack(">QB", 976, 0) + str8(names[1]) + b"x", 976)
    pia.socket.sendall(
        b"".join(
            framed(POST, struct.pack(">QB", n, 0) + str8(names[1]) + b"%d" % n) for n in range(2001, 2021)
        )
    )
    for n in range(2001, 2004):
        pia.posted(n)
    pia.drop()
    pia = Client(names[0], LOGIN, device)
    pia.socket.sendall(
        b"".join(
            framed(POST, struct.pack(">QB", n, 0) + str8(names[1]) + b"%d" % n) for n in range(2001, 2041)
        )
    )
    outcomes = [pia.posted(n).outcome for n in range(2001, 2041)]
    same(outcomes[:3] + outcomes[20:], [SEEN_BEFORE] * 3 + [HANDED_OVER] * 20, "outcomes after reconnecting")
    same(texts(qin.take(42)), ["x", "y"] + [str(n) for n in range(2001, 2041)], "once each and in order")
    same(
        Client(fresh("Rex"), device=device).post(5, names[1], "x").id == first.id,
        False,
        "ids depend on the account",
    )


@check
def acknowledging():
    """ACK with ranges; what is not acknowledged comes again; reversed and foreign ranges; a second DELIVER, LOGOUT"""
    device, names = new_device(), (fresh("Ada"), fresh("Bob"))
    ada, bob = Client(names[0]), Client(names[1], device=device)
    for n in range(8):
        same(ada.ok(SEND, f"{names[1]}|{n}")[0], "queued", "SEND to a session without a stream")
    bob.ack((0, (1 << 63) - 1))
    items = bob.stream(8)
    same(texts(items), list("01234567"), "ACK before DELIVER counts nothing")
    seqs = [one.seq for one in items]
    same(sorted(set(seqs)) == seqs and seqs[0] >= 1, True, "seqs rise")
    bob.refused("malformed", ACK, struct.pack(">4Q", seqs[0], seqs[0], seqs[3], seqs[2]))
    same(bob.ok(DELIVER), ["8"], "nothing of that frame counts")
    bob.ack((seqs[1], seqs[2]), (seqs[5], seqs[5]))
    bob.ack((seqs[5], seqs[5]))
    bob.silent()
    same((bob.ok(DELIVER), bob.pushed), (["5"], []), "a second DELIVER")
    bob.drop()
    bob = Client(names[1], LOGIN, device)
    same(bob.stream(5), [items[n] for n in (0, 3, 4, 6, 7)], "what is not acknowledged comes again")
    bob.ok(LOGOUT)
    same(ada.ok(SEND, f"{names[1]}|8")[0], "queued", "LOGOUT closes the stream")
    bob.silent()
    bob.ok(LOGIN, names[1])
    bob.ack((0, (1 << 63) - 1))
    items = bob.stream(6)
    same(ada.ok(SEND, f"{names[1]}|9")[0], "delivered", "SEND to an open stream")
    same(texts(items + bob.take(1)), list("0346789"), "what waits, then what is new")
    bob.ack((1, (1 << 63) - 1))
    bob.ok(LOGOUT)
    same((bob.ok(LOGIN, names[1])[1], bob.ok(DELIVER)), ("0", ["0"]), "all acknowledged")
    bob.silent()


@check
def receipts():
    """Receipts: delivered by ACK and by a text session, refused, read; exactly once and for the device that posted"""
    device, names = new_device(), (fresh("Ann"), fresh("Bob"), fresh("Cem"))
    ann, other, bob, cem = (
        Client(names[0], device=device),
        Client(names[0], LOGIN, new_device()),
        Client(names[1], device=new_device()),
        Client(names[2]),
    )
    ann.stream(0)
    other.stream(0)
    bob.stream(0)
    first, second, third = (
        ann.post(1, names[1], "x", 1),
        ann.post(2, names[2], "x", 1),
        ann.post(3, names[1], "no receipt wanted"),
    )
    ann.silent(0.2)
    items = bob.take(2)
    bob.ack((1, 1 << 62))
    cem.take(1)
    cem.ok(LIST, names[2])
    got = ann.take(2)
    same(
        {one[1:3] + one[4:] for one in got},
        {(first.id, DELIVERED, names[1]), (second.id, DELIVERED, names[2])},
        "delivered",
    )
    same(all(type(one) is Receipt and one.time > 1.6e12 for one in got), True, "receipts")
    bob.ack((1, 1 << 62))
    ann.silent()
    other.silent()
    bob.send(READ, items[1].id + str8(names[0]) + items[0].id + str8(names[0]) + first.id + str8("nobody-"))
    for one in (ann, other):
        same(
            {got[1:3] + got[4:] for got in one.take(2)},
            {(first.id, WAS_READ, names[1]), (third.id, WAS_READ, names[1])},
            "read",
        )
    bob.alive()
    cem.ok(LOGOUT)
    last = ann.post(4, names[2], "x", 1)
    same(last.outcome, STORED, "POST")
    cem.ok(LOGIN, names[2])
    cem.ok(DELETE)
    same(ann.take(1)[0][1:3], (last.id, REFUSED), "refused")
    ann.drop()
    ann = Client(names[0], LOGIN, device)
    same((ann.waiting, len(ann.stream(5))), (["0"], 5), "receipts wait, and are no messages for LOGIN")
    ann.ack((1, 1 << 62))
    ann.ok(LOGOUT)
    ann.ok(LOGIN, names[0])
    ann.stream(0)
    text = Client(names[0], LOGIN)
    same((text.waiting, text.ok(DELIVER)), (["0"], ["0"]), "a text session gets none")


@check
def tokens():
    """TOKEN and RESUME: a new one each time, the old one good until the new one was used; bound and revoked"""
    device, name = new_device(), fresh("Tom")
    tom = Client(name, device=device)
    token = tom.ask(TOKEN)
    same((len(token), token[:2]), (34, b"\0\0"), "TOKEN")
    Client(fresh("Tim")).ok(SEND, f"{name}|hi")
    tom.drop()

    def resume(token, device=device):
        one = Client(device=device)
        answer = one.ask(RESUME, token)
        same((len(answer), answer[:2]), (54, b"\0\0"), f"RESUME: {answer}")
        same(
            (uuid.UUID(bytes=answer[2:18]), answer[18:22]),
            (uuid.UUID(tom.account), bytes(3) + b"\1"),
            "account, waiting",
        )
        return one, answer[22:]

    one, lost = resume(token[2:])
    two, new = resume(token[2:])
    one.ended("replaced")
    two.stream(1)
    three, newer = resume(new)
    for used in (token[2:], bytes(32)):
        Client(device=device).refused("bad-token", RESUME, used)
    Client(device=new_device()).refused("bad-token", RESUME, newer)
    three.ok(LOGOUT)
    three.refused("bad-token", RESUME, newer)
    three.refused("bad-token", RESUME, new)
    three.ok(LOGIN, name)
    token = three.ask(TOKEN)[2:]
    three.ok(DELETE)
    three.refused("bad-token", RESUME, token)


@check
def passwords():
    """PASSWORD: asks for the one until now, and ends the other sessions and all tokens"""
    device, other, name = new_device(), new_device(), fresh("Pam")
    pam = Client(name, device=device)
    for word, data in (
        ("malformed", b""),
        ("malformed", b"\0\5open"),
        ("not-utf8", b"\0\1\xffopen sesame"),
        ("bad-text", b"\0\0open\0sesame"),
        ("bad-password", str16("") + b"1234567"),
        ("bad-password", str16("") + b"x" * 257),
        ("bad-password", str16("guessed") + b"open sesame"),
    ):
        pam.refused(word, PASSWORD, data)
    same(pam.ask(PASSWORD, str16("") + b"open|sesame"), b"\0\0", "a first password")
    text, second = Client(name + "|open|sesame", LOGIN), Client(name + "|open|sesame", LOGIN, other)
    tokens = [(device, pam.ask(TOKEN)[2:]), (other, second.ask(TOKEN)[2:])]
    pam.refused("password-needed", PASSWORD, str16("") + b"pass sesame")
    pam.refused("bad-password", PASSWORD, str16("open sesame") + b"pass sesame")
    same(pam.ask(PASSWORD, str16("open|sesame") + "pass|sésame".encode()), b"\0\0", "another password")
    text.ended("bad-token")
    second.ended("bad-token")
    for device_of, token in tokens:
        Client(device=device_of).refused("bad-token", RESUME, token)
    pam.alive()
    same(len(pam.ask(TOKEN)), 34, "the session that asked stays")
    pam.ok(LOGOUT)
    pam.refused("bad-password", LOGIN, name + "|open|sesame")
    pam.ok(LOGIN, name + "|pass|sésame")
    pam.refused("hello-first", HELLO, b"")


@check
def presence():
    """WATCH answers in the order of its names and is followed by PRESENCE; TYPING reaches those who watch alone"""
    one, two, name = fresh("Una"), fresh("Duo"), fresh("Straße")
    plain = Client(one, device=new_device())
    plain.refused("not-allowed", WATCH, str8(two))
    plain.refused("not-allowed", TYPING, two)
    una = Client(one, LOGIN, new_device(), 1)
    for word, data in (
        ("malformed", b"\5bob"),
        ("bad-name", b"\0"),
        ("bad-name", str8("a b")),
        ("not-utf8", b"\1\xff"),
        ("too-long", str8("bob") * 257),
    ):
        una.refused(word, WATCH, data)
    una.refused("bad-name", TYPING, "")
    asked = [one, name.upper(), "nobody-at-all", two + "@elsewhere", name]
    same(una.ask(WATCH, b"".join(map(str8, asked))), bytes(7), "nobody receives yet")
    una.stream(0)
    same(una.frame(), (PRESENCE, b"\1" + one.encode()), "a stream makes online, oneself too")
    text = Client(name)
    same(una.frame(), (PRESENCE, b"\1" + name.upper().encode()), "as WATCH wrote it, the first way")
    duo = Client(two, device=new_device(), features=1)
    duo.send(TYPING, one)
    same(duo.ask(WATCH, str8(one)), b"\0\0\1", "a state in the answer")
    una.send(TYPING, two)
    same(duo.frame(), (TYPING, one.encode()), "who is typing")
    una.send(TYPING, "nobody-at-all")
    una.send(TYPING, two + "@elsewhere")
    una.ok(LIST, "nobody-at-all")
    text.drop()
    again = Client(name, LOGIN)
    una.silent()
    same(una.ask(WATCH), b"\0\0", "no name ends it")
    again.drop()
    Client(two, LOGIN)
    una.silent()
    una.ok(LOGOUT)
    una.refused("not-logged-in", WATCH, str8(two))
    una.refused("not-logged-in", TYPING, two)


@check
def devices():
    """Several devices each get everything; all text sessions are one device; a newer session replaces; 8 sessions"""
    name, device = fresh("Dee"), new_device()
    ann, one, two = Client(fresh("Ann")), Client(name, device=device), Client(name, LOGIN, new_device())
    ann.ok(SEND, f"{name}|a")
    (first,) = one.stream(1)
    same(two.stream(1), [first], "both get it")
    one.ack((first.seq, first.seq))
    two.drop()
    ann.ok(SEND, f"{name}|b")
    text = Client(name, LOGIN)
    same(
        (text.ok(DELIVER), texts(text.pushed)),
        (["2"], ["a", "b"]),
        "the text sessions' device begins with the oldest kept",
    )
    newer = Client(name, LOGIN, device)
    one.take(1)
    one.ended("replaced")
    same(texts(newer.stream(1)), ["b"], "a device's record outlasts its session")
    same(newer.ok(SEND, f"{name}|to all of me")[0], "delivered", "SEND to itself")
    same(texts(newer.take(1) + text.take(3)[2:]), ["to all of me"] * 2, "every session gets it")
    more = [Client(name, LOGIN, new_device()) for _ in range(6)]
    last = Client()
    last.refused("too-many-sessions", LOGIN, name)
    more[0].ok(LOGOUT)
    last.ok(LOGIN, name)
