"""Checks of clocks and large amounts, which take minutes."""

import struct
import time

from bellhop import (
    CREATE,
    Client,
    DELIVER,
    LIST,
    LOGIN,
    LOGOUT,
    PING,
    POST,
    SEND,
    framed,
    fresh,
    new_device,
    numbers,
    same,
    slow,
    str8,
)


@slow
def long_listing():
    """2,100 accounts do not fit into one frame: `more`, and the rest after the last name"""
    one, tag = Client(), f"z{next(numbers):02}"
    wanted = [f"{tag}-{n:028}" for n in range(2100)]
    for start in range(0, len(wanted), 100):
        one.socket.sendall(
            b"".join(framed(CREATE, name) + framed(LOGOUT) for name in wanted[start : start + 100])
        )
        for _ in range(100):
            same(one.answer(CREATE)[:3], b"ok|", "CREATE")
            same(one.answer(LOGOUT), b"ok", "LOGOUT")
    word, *first = one.ask(LIST, f"{tag}*").decode().split("|")
    same((word, 0 < len(first) < len(wanted)), ("more", True), "the first part")
    same(first + one.ok(LIST, f"{tag}*|{first[-1]}"), wanted, "both parts")


@slow
def windows():
    """At most 1,024 items or 256 KiB are underway; an ACK lets as many follow"""
    sender, bob = Client(fresh("Ida")), Client(fresh("Bob"))
    name = bob.ok(LIST, "Bob*")
    for size, count, most in ((0, 1100, 1024), (16000, 40, 16)):
        name = fresh("Bob")
        Client(name)
        bob = Client(name, LOGIN, new_device())
        sender.socket.sendall(b"".join(framed(SEND, f"{name}|" + "x" * size) for _ in range(count)))
        for _ in range(count):
            same(sender.answer(SEND)[:3], b"ok|", "SEND")
        same(bob.ok(DELIVER), [str(count)], "DELIVER")
        items = bob.take(most)
        bob.silent(1)
        bob.ack((items[0].seq, items[9].seq))
        bob.take(10)
        bob.silent(1)
        bob.ack((1, (1 << 63) - 1))
        bob.take(count - most - 10)
        bob.ack((1, (1 << 63) - 1))
        same(bob.ok(DELIVER), ["0"], "all acknowledged")
        bob.silent()


@slow
def heartbeats():
    """PING both ways; the server's PING comes after 30 s, and without an answer the end after 90 s"""
    one, two, text = (
        Client(fresh("Liv"), device=new_device()),
        Client(fresh("Mia"), device=new_device()),
        Client(fresh("Nia")),
    )
    same((one.ask(PING, b"\0\xff345678"), two.ask(PING, bytes(8))), (b"\0\xff345678", bytes(8)), "PING")
    began = time.monotonic()
    two.socket.settimeout(40)
    same(
        (two.socket.recv(99)[:5], 28 < time.monotonic() - began < 35),
        (b"\0\0\0\x08\x0b", True),
        "the server's PING",
    )
    one.silent(1)
    same(one.pings, 1, "PINGs of the server to the other")
    one.silent(75)
    same(one.pings, 3, "PINGs, all answered")
    one.alive()
    text.alive()
    while two.socket.recv(99):
        pass
    same(88 < time.monotonic() - began < 115, True, f"given up after {time.monotonic() - began} s")


@slow
def clocks():
    """10 s to log in, 10 s for a frame, 64 frames before login; a live text session takes after 60 s"""
    ann, name = Client(fresh("Ann")), fresh("Ben")
    idle, half, ben, many = Client(), Client(fresh("Hal")), Client(name), Client()
    ann.ok(SEND, f"{name}|x")
    half.socket.sendall(framed(SEND, "x|y")[:6])
    many.socket.sendall(framed(0x3F) * 100)
    same([many.frame()[0] for _ in range(64)], [0xBF] * 64, "answers before login")
    many.ended("not-logged-in")
    idle.ended("timed-out", 12)
    half.ended("timed-out", 12)
    time.sleep(55)
    ben.drop()
    same(Client(name, LOGIN).waiting, ["0"], "taken after 60 s")


@slow
def full_mailbox():
    """2,000 messages of one sender wait for one mailbox; more are mailbox-full, for SEND and POST"""
    name, one = fresh("Max"), Client(fresh("Eve"), device=new_device())
    Client(name).ok(LOGOUT)
    for _ in range(4):
        one.socket.sendall(framed(SEND, name + "|") * 500)
        same({one.answer(SEND)[:10] for _ in range(500)}, {b"ok|queued|"}, "answers")
    one.refused("mailbox-full", SEND, name + "|x")
    one.refused("mailbox-full", POST, struct.pack(">QB", 1, 0) + str8(name), 1)
    same(Client(fresh("Eva")).ok(SEND, name + "|x")[0], "queued", "another sender has room")
