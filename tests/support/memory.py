"""What stands in a process's memory, for root or its owner: secrets are looked for where they should not be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

LEAST = 24
"""Bytes of a needle: fewer would be found by chance."""


def traces(key: Path) -> dict[str, bytes]:
    """A private key in the forms in which it may stand somewhere: its numbers in both byte orders, and lines of its text."""
    text = key.read_bytes()
    private = load_pem_private_key(text, None)
    if isinstance(private, RSAPrivateKey):
        numbers = private.private_numbers()
        secrets = {"d": numbers.d, "p": numbers.p, "q": numbers.q, "dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp}
    elif isinstance(private, EllipticCurvePrivateKey):
        secrets = {"d": private.private_numbers().private_value}
    else:
        raise TypeError(f"no way to look for {private}")
    needles = {}
    for name, number in secrets.items():
        octets = number.to_bytes((number.bit_length() + 7) // 8, "big")
        needles[f"{name}, big end first"] = octets[-32:]
        needles[f"{name}, little end first"] = octets[::-1][:32]
    lines = [line for line in text.splitlines() if not line.startswith(b"-----") and len(line) >= LEAST]
    return needles | {f"line {number} of the text": line for number, line in enumerate(lines, start=1)}


def found_in(pid: int, needles: Mapping[str, bytes]) -> set[str]:
    """Which of them stand anywhere in the process's memory."""
    found: set[str] = set()
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, mode, *_ = line.split()
            if "r" not in mode or "lbproxy-ledger" in line:  # 25 MB of counts
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            try:
                memory.seek(start)
                content = memory.read(end - start)
            except (OSError, OverflowError, ValueError):
                continue  # [vvar] and the like
            found |= {name for name, needle in needles.items() if needle in content}
    return found
