"""Hostile letters cost linear time and bounded memory (promises S11, S12, S13)."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import pytest

from mailserver_py.message.addresslist import parse_address_list
from mailserver_py.message.date import parse_date
from mailserver_py.message.header import parse_header
from mailserver_py.message.mime import parse_structure
from mailserver_py.message.parameters import decode_parameters, parse_parameters
from mailserver_py.message.text import search_text
from mailserver_py.message.words import decode_text

MULTIPART = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"


def structure(data: bytes) -> None:
    root = parse_structure(data)
    for _ in search_text(data, root):
        pass


def addresses(data: bytes) -> None:
    parse_address_list(data)


def parameters(data: bytes) -> None:
    decode_parameters(parse_parameters(b"text/plain" + data))
    parse_structure(b"Content-Type: text/plain" + data + b"\r\nContent-Disposition: x" + data + b"\r\n\r\n")


def nested(count: int) -> bytes:
    return b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(count)
    )


def prefixes(count: int) -> bytes:
    return b"".join(
        b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n--%b\r\n" % (b"b" * n, b"b" * n)
        for n in range(1, 60)
    ) + b"".join(b"--%b\r\n" % (b"b" * (n % 80)) for n in range(count))


HOSTILE: dict[str, tuple[Callable[[bytes], object], Callable[[int], bytes], int]] = {
    # name: what reads it, what writes it by size, and the size that promises.md names
    "10k deep": (structure, nested, 10_000),
    "10k deep, then a long text": (structure, lambda n: nested(n) + b"x\n" * n * 100, 10_000),
    "1M siblings": (structure, lambda n: MULTIPART + b"--b\r\n\r\nx\r\n" * n, 1_000_000),
    "10k letters in letters": (structure, lambda n: b"Content-Type: message/rfc822\r\n\r\n" * n, 10_000),
    "letters in letters, then lines": (
        structure,
        lambda n: b"Content-Type: message/rfc822\r\n\r\n" * 200 + b"\n" * n,
        5_000_000,
    ),
    "boundaries that begin others": (structure, prefixes, 500_000),
    "lines like delimiters": (structure, lambda n: MULTIPART + b"--x\n" * n, 1_000_000),
    "lines like close delimiters": (structure, lambda n: MULTIPART + b"--x--\r\n" * n, 1_000_000),
    "headers without an end": (structure, lambda n: MULTIPART + b"--b\r\nA: b\r\n" * n, 500_000),
    "500k To lines": (parse_header, lambda n: b"To: a@b.example\r\n" * n + b"\r\n", 500_000),
    "a header of folds": (lambda d: parse_header(d).value(b"x"), lambda n: b"X: " + b"a\r\n " * n, 2_000_000),
    "one long field": (parse_header, lambda n: b"X: " + b"a" * n, 50_000_000),
    "1M addresses": (addresses, lambda n: b"a@b," * n, 1_000_000),
    "1M groups": (addresses, lambda n: b"a:;" * n, 1_000_000),
    "1M empty places": (addresses, lambda n: b"," * n, 1_000_000),
    "comments": (addresses, lambda n: b"()" * n, 500_000),
    "nested comments": (addresses, lambda n: b"(" * n, 1_000_000),
    "quotes": (addresses, lambda n: b'"\\"' * n, 300_000),
    "brackets": (addresses, lambda n: b"<" * n, 1_000_000),
    "routes": (addresses, lambda n: b"<" + b"@a," * n, 300_000),
    "20k RFC 2231 parameters": (parameters, lambda n: b"".join(b"; a*%d*=x" % i for i in range(n)), 20_000),
    "one piece 20k times": (parameters, lambda n: b"; a*1*=x" * n, 20_000),
    "5k nested comments": (parameters, lambda n: b"; a=" + b"(" * n + b")" * n, 5_000),
    "parameter quotes": (parameters, lambda n: b';a="' + b'\\"' * n, 100_000),
    "parameter names": (parameters, lambda n: b";" + b"a" * n, 100_000),
    "parameter spaces": (parameters, lambda n: b"; a" + b" " * n, 100_000),
    "1MB of encoded words": (decode_text, lambda n: b"=?utf-8?q?" * n, 100_000),
    "encoded words": (decode_text, lambda n: b"=?utf-8?q?a?= " * n, 50_000),
    "words in two charsets": (decode_text, lambda n: b"=?utf-8?q?a?= =?iso-8859-1?q?a?= " * n, 20_000),
    "question marks": (decode_text, lambda n: b"=?a?" * n, 250_000),
    "a date of comments": (parse_date, lambda n: b"(" * n, 1_000_000),
}


def cpu_s(read: Callable[[bytes], object], data: bytes) -> float:
    started = time.process_time()
    read(data)
    return time.process_time() - started


@pytest.mark.parametrize("name", HOSTILE)
def test_twice_the_hostile_octets_cost_at_most_about_twice(name: str) -> None:
    # A two-hundredth of what the promise names, so that the suite is quick; the test below does it in full.
    read, write, count = HOSTILE[name]
    once = min(cpu_s(read, write(count // 400)) for _ in range(3))
    twice = min(cpu_s(read, write(count // 200)) for _ in range(3))
    assert twice <= 3 * once + 0.005


@pytest.mark.long
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_letters_cost_a_second_per_ten_megabytes_at_most(name: str) -> None:
    read, write, count = HOSTILE[name]
    once, twice = write(count // 2), write(count)
    assert cpu_s(read, twice) <= 1.0 * max(1.0, len(twice) / 10_000_000)
    assert cpu_s(read, twice) <= 2.3 * cpu_s(read, once) + 0.02


@pytest.mark.parametrize("name", ["10k deep", "1M siblings", "10k letters in letters", "500k To lines"])
def test_memory_stays_within_a_few_times_the_letter(name: str) -> None:
    read, write, count = HOSTILE[name]
    data = write(count // 100)
    tracemalloc.start()
    read(data)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Counts are limited, so what is kept does not grow with the letter.
    assert peak_bytes <= 4 * len(data) + 12_000_000


@pytest.mark.parametrize("cut", range(0, 60))
def test_utf8_cut_off_anywhere_is_read(cut: int) -> None:
    raw = "Jörg “Ä” <jörg@bücher.example>, 日本 <日@本.example>".encode()[:cut]
    parse_address_list(raw)
    decode_text(raw)
    structure(b"Subject: " + raw + b"\r\nContent-Type: text/" + raw + b"\r\n\r\n" + raw)
