"""A front before a real registry that misbehaves as told: the registry's answers are real, the faults are ours."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIECE = 65536


@dataclass
class Fault:
    """What happens to the first TIMES requests whose method and path match.

    STATUS answers in the registry's place. DROP_AT passes that many bytes of the request's body on, then breaks
    both connections: distribution 2.8 gives such an upload up. With KEEPS the registry holds what came and goes on
    from there, as the specification (v1.1) and distribution 3 have it. CUT_AT breaks the connection after that many
    bytes of the answer's body; CHANGE edits the registry's answer; SWALLOW_ANSWER keeps it to itself. AFTER: let
    that many matching requests pass first. STALL: seconds in which the request's body is not read, nor answered.
    """

    method: str
    path: str
    times: int = 1
    after: int = 0
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    drop_at: int | None = None
    keeps: bool = False
    cut_at: int | None = None
    change: Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]] | None = None
    swallow_answer: bool = False
    stall: float = 0


@dataclass(frozen=True)
class Seen:
    """A request that came: ``sent`` counts the bytes of its body that the registry gets; -1 where all of a body whose
    length was not told before."""

    method: str
    path: str
    headers: Mapping[str, str]
    sent: int


class Front(ThreadingHTTPServer):
    """INSTEAD answers in the registry's place where it gives something; TAKEN hears of every manifest that the
    registry took, with the path it went to, and gives more headers for the answer."""

    daemon_threads = True

    def __init__(self, upstream: str, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self.lock = threading.Lock()
        self.allow: Callable[[Mapping[str, str]], tuple[int, dict[str, str], bytes] | None] = lambda headers: None
        self.upstream_headers: dict[str, str] = {}
        self.kept: dict[str, str] = {}
        self.instead: Callable[[str, str], tuple[int, dict[str, str], bytes] | None] = lambda method, path: None
        self.taken: Callable[[str, bytes], dict[str, str]] = lambda path, manifest: {}
        self.tls = tls
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def fault(self, method: str, path: str, **what: object) -> None:
        self.faults.append(Fault(method, path, **what))  # type: ignore[arg-type]

    def take(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.method in (method, "*") and re.search(fault.path, path):
                    if fault.after > 0:
                        fault.after -= 1
                        continue
                    if fault.times > 0:
                        fault.times -= 1
                        return fault
        return None

    def requests(self, method: str, path: str = "") -> list[Seen]:
        with self.lock:
            return [seen for seen in self.seen if seen.method == method and re.search(path, seen.path)]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Front

    def log_message(self, format: str, *args: object) -> None: ...

    def _serve(self) -> None:
        fault = self.server.take(self.command, self.path)
        length = -1 if self.headers.get("Transfer-Encoding") else int(self.headers.get("Content-Length") or 0)
        self.left_of_chunk = 0
        refusal = self.server.allow(dict(self.headers))
        passed = length
        if refusal or (fault and fault.status):
            passed = 0
        elif fault and fault.drop_at is not None:
            passed = fault.drop_at
        with self.server.lock:
            self.server.seen.append(Seen(self.command, self.path, dict(self.headers), passed))
        if fault and fault.stall:
            time.sleep(fault.stall)
        refusal = refusal or self.server.instead(self.command, self.path)
        if refusal:
            self._discard(length)
            self._answer(*refusal)
        elif fault and fault.status:
            self._discard(length)
            self._answer(fault.status, dict(fault.headers), fault.body)
        elif fault and fault.drop_at is not None:
            self._drop(fault)
        else:
            self._pass_on(fault, length)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _body(self, length: int) -> Iterator[bytes]:
        """LENGTH bytes of the body, or fewer where it is shorter; -1 stands for all of one of unknown length."""
        while length != 0:
            piece = self._piece(length if length > 0 else PIECE)
            if not piece:
                return
            yield piece
            length -= len(piece) if length > 0 else 0

    def _piece(self, most: int) -> bytes:
        if not self.headers.get("Transfer-Encoding"):
            return self.rfile.read(min(PIECE, most))
        if self.left_of_chunk == 0:
            line = self.rfile.readline()
            if not line:
                raise ConnectionError("the client hung up")
            self.left_of_chunk = int(line, 16)
            if self.left_of_chunk == 0:
                self.rfile.readline()
                return b""
        piece = self.rfile.read(min(PIECE, most, self.left_of_chunk))
        self.left_of_chunk -= len(piece)
        if self.left_of_chunk == 0:
            self.rfile.readline()
        return piece

    def _discard(self, length: int) -> None:
        for _ in self._body(length):
            pass

    def _upstream(self, changed: Mapping[str, str] = {}) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self.server.upstream, timeout=30)
        path = self.server.kept.get(self.path, self.path)
        connection.putrequest(self.command, path, skip_host=True, skip_accept_encoding=True)
        changed = {**self.server.upstream_headers, **changed}
        skipped = {name.lower() for name in changed}
        skipped |= {"transfer-encoding"} if "content-length" in skipped else set()
        for name, value in self.headers.items():
            if name.lower() not in skipped | {"connection"}:
                connection.putheader(name, value)
        for name, value in changed.items():
            connection.putheader(name, value)
        if self.server.tls:
            connection.putheader("X-Forwarded-Proto", "https")
        connection.endheaders()
        return connection

    def _feed(self, connection: http.client.HTTPConnection, length: int, *, chunked: bool) -> None:
        for piece in self._body(length):
            connection.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked and length < 0:
            connection.send(b"0\r\n\r\n")

    def _drop(self, fault: Fault) -> None:
        count = fault.drop_at or 0
        connection = self._upstream({"Content-Length": str(count)} if fault.keeps else {})
        self._feed(connection, count, chunked=bool(self.headers.get("Transfer-Encoding")) and not fault.keeps)
        with suppress(OSError):
            if not fault.keeps and connection.sock:
                connection.sock.shutdown(socket.SHUT_WR)
            answer = connection.getresponse()
            answer.read()
            if fault.keeps:
                self.server.kept[self.path] = answer.headers["Location"].partition(self.server.host)[2]
        connection.close()
        self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _pass_on(self, fault: Fault | None, length: int) -> None:
        connection = self._upstream()
        manifest = self.rfile.read(length) if self.command == "PUT" and "/manifests/" in self.path else b""
        if manifest:
            connection.send(manifest)
        else:
            self._feed(connection, length, chunked=length < 0)
        answer = connection.getresponse()
        body = answer.read()
        headers = dict(answer.getheaders())
        if manifest and answer.status == 201:
            headers |= self.server.taken(self.path, manifest)
        connection.close()
        if fault and fault.swallow_answer:
            self._hang_up()
            return
        if fault and fault.change:
            headers, body = fault.change(headers, body)
        self._answer(answer.status, headers, body, cut_at=fault.cut_at if fault else None)

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes, cut_at: int | None = None) -> None:
        self.send_response(status)
        length = headers.get("Content-Length") if self.command == "HEAD" else None
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:cut_at])
        if cut_at is not None:
            self.wfile.flush()
            self._hang_up()


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def front(upstream: str, tls: ssl.SSLContext | None = None) -> Iterator[Front]:
    server = Front(upstream, tls)
    with running(server):
        yield server
