"""A machine of its own as far as names go: run inside user, mount and network namespaces (`python -m tests.support.own_names`).

stdin: {"resolv.conf": text, "hosts": text, "names": [...]} as JSON. stdout: {name: [what lbproxy finds, what getaddrinfo finds]},
both as sorted lists of addresses, empty where the name is not known. The name server at 127.0.0.1:53 is the script below.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import dns.message
import dns.rcode
import dns.rrset

from lbproxy.errors import Unresolved
from lbproxy.names.lookup import attempt
from tests.support.waiting import eventually

ADDRESSES = {
    "app.corp.test.": ["10.0.0.1"],
    "app.east.test.": ["10.0.0.2"],
    "app.": ["10.0.0.3"],
    "xn--strae-oqa.test.": ["10.0.0.4"],
    "many.test.": [f"10.1.0.{number}" for number in range(1, 61)],
}
FAILS = {"broken.test.": dns.rcode.SERVFAIL, "refused.test.": dns.rcode.REFUSED}
EMPTY = ("nothing.test.",)
THEIRS = """
import json, socket, sys
found = {}
for name in json.load(sys.stdin):
    try:
        found[name] = sorted({entry[4][0] for entry in socket.getaddrinfo(name, 80, socket.AF_INET, socket.SOCK_STREAM)})
    except socket.gaierror:
        found[name] = []
print(json.dumps(found))
"""


def answer(question: dns.message.Message) -> dns.message.Message:
    """What the server says."""
    asked = question.question[0]
    name = str(asked.name).lower()
    reply = dns.message.make_response(question, recursion_available=True)  # else glibc takes an answer without data for none
    code = next((code for domain, code in FAILS.items() if name.endswith(domain)), None)
    if code is not None:
        reply.set_rcode(code)
    elif name in ADDRESSES:
        if asked.rdtype.name == "A":
            reply.answer.append(dns.rrset.from_text(name, 30, "IN", "A", *ADDRESSES[name]))
    elif not name.endswith(EMPTY):
        reply.set_rcode(dns.rcode.NXDOMAIN)
    return reply


def _serve() -> None:
    """A process of its own: both sides of the comparison ask it."""
    import selectors
    import socket

    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 53))
    tcp = socket.create_server(("127.0.0.1", 53))
    selector = selectors.DefaultSelector()
    selector.register(udp, selectors.EVENT_READ)
    selector.register(tcp, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is udp:
                data, peer = udp.recvfrom(4096)
                udp.sendto(answer(dns.message.from_wire(data)).to_wire(), peer)
            else:
                connection, _ = tcp.accept()
                connection.settimeout(0.3)
                with connection, connection.makefile("rb") as questions:
                    while size := questions.read(2):
                        wire = answer(dns.message.from_wire(questions.read(int.from_bytes(size, "big")))).to_wire()
                        connection.sendall(len(wire).to_bytes(2, "big") + wire)


def _answers() -> bool:
    import dns.query

    try:
        dns.query.udp(dns.message.make_query("app.", "A"), "127.0.0.1", timeout=0.1)
    except Exception:
        return False
    return True


def main() -> None:
    """See above."""
    told = json.load(sys.stdin)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory() as directory:
        for name in ("resolv.conf", "hosts"):
            file = Path(directory, name)
            file.write_text(told[name], "latin-1")
            subprocess.run(["mount", "--bind", file, f"/etc/{name}"], check=True)
        server = subprocess.Popen([sys.executable, "-m", "tests.support.own_names", "serve"])
        try:
            eventually(_answers, "the name server answers")
            asked = json.dumps(told["names"])
            done = subprocess.run([sys.executable, "-S", "-c", THEIRS], input=asked, capture_output=True, text=True, check=True)
            theirs = json.loads(done.stdout)
            ours = {name: attempt(name) for name in told["names"]}
            print(json.dumps({name: [_found(ours[name]), theirs[name]] for name in told["names"]}))
        finally:
            server.kill()
            server.wait()


def _found(answer: object) -> list[str]:
    return [] if isinstance(answer, Unresolved) else sorted(address for address in answer.addresses if ":" not in address)  # type: ignore[attr-defined]


if __name__ == "__main__":
    _serve() if sys.argv[1:] == ["serve"] else main()
