"""A cell sent to a kernel over a Jupyter server's REST interface and WebSocket.

Messages: jupyter-client's documentation, "Messaging in Jupyter"; addresses: jupyter-server's REST API.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

import httpx
from websockets.exceptions import InvalidMessage, WebSocketException
from websockets.sync.client import ClientConnection, connect

# A sum for each language: what a kernel has computed is not in what was sent.
SUMS: Mapping[str, str] = {
    "python": "print(6*7)",
    "r": "cat(6*7)",
    "julia": "print(6*7)",
    "bash": "echo $((6*7))",
    "javascript": "console.log(6*7)",
    "typescript": "console.log(6*7)",
    "octave": "disp(6*7)",
    "matlab": "disp(6*7)",
    "ruby": "puts 6*7",
    "scala": "print(6*7)",
    "sql": "SELECT 6*7",
    "sagemath": "print(6*7)",
    "xonsh": "print(6*7)",
}
ANSWER = "42"
PATIENCE = 4.0
TRIES = 3


class KernelError(Exception):
    """A kernel did not compute; the text says what it did instead."""


def kernel_languages(http: httpx.Client) -> dict[str, str]:
    """The kernelspecs that a server offers: name to language, in lower case. Raises KernelError where it does
    not tell."""
    return {name: str(spec["spec"].get("language", "")).lower() for name, spec in _kernelspecs(http).items()}


def kernel_pythons(http: httpx.Client) -> list[str]:
    """The Pythons that the kernelspecs of a server start, by their absolute paths."""
    specs = [spec["spec"] for spec in _kernelspecs(http).values()]
    programs = [spec["argv"][0] for spec in specs if spec.get("argv") and spec.get("language", "").lower() == "python"]
    return list(dict.fromkeys(program for program in programs if program.startswith("/")))


def _kernelspecs(http: httpx.Client) -> dict[str, Any]:
    try:
        answer = _ask(http, "GET", "api/kernelspecs").raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
        raise KernelError(f"the server does not tell its kernelspecs: {error or type(error).__name__}") from error
    return dict(answer["kernelspecs"])


def compute(http: httpx.Client, token: str, name: str, code: str, seconds: float) -> str:
    """Start a kernel of kernelspec NAME, run CODE and return what it printed; the kernel is ended again.

    Raises KernelError where it does not start, dies, reports an error, or is not done within SECONDS.
    """
    deadline = time.monotonic() + seconds
    try:
        answer = _ask(http, "POST", "api/kernels", json={"name": name}, timeout=seconds)
        if answer.status_code != 201:
            raise KernelError(f"does not start: {_reason(answer)}")
        kernel = answer.json()["id"]
        try:
            return _run(http, token, kernel, code, deadline)
        finally:
            http.delete(f"api/kernels/{kernel}", timeout=30)
    except (httpx.HTTPError, WebSocketException, OSError, ValueError, KeyError) as error:
        raise KernelError(f"{error or type(error).__name__}") from error


def _ask(http: httpx.Client, method: str, path: str, **options: Any) -> httpx.Response:
    """A request that is sent again where the connection breaks: port forwarders drop one now and then."""
    for _ in range(TRIES - 1):
        try:
            return http.request(method, path, **options)
        except (httpx.RemoteProtocolError, httpx.ConnectError, httpx.ReadError):
            time.sleep(1)
    return http.request(method, path, **options)


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("message") or answer.status_code)
    except ValueError:
        return f"HTTP {answer.status_code}"


def _run(http: httpx.Client, token: str, kernel: str, code: str, deadline: float) -> str:
    session = uuid.uuid4().hex
    with _connected(http, token, kernel, session, deadline) as socket:
        request = _request(session, code)
        socket.send(json.dumps(request))
        return _collect(socket, request["header"]["msg_id"], deadline)


def _connected(http: httpx.Client, token: str, kernel: str, session: str, deadline: float) -> ClientConnection:
    """A WebSocket to the kernel. The server opens it once the kernel answers; one that dies never does."""
    base = str(http.base_url).replace("http", "ws", 1).rstrip("/")
    while True:
        try:
            return connect(
                f"{base}/api/kernels/{kernel}/channels?session_id={session}",
                additional_headers={"Authorization": f"token {token}"},
                open_timeout=min(PATIENCE, _left(deadline)),
                close_timeout=2,
                max_size=2**24,
                proxy=None,
            )
        except (TimeoutError, ConnectionError, InvalidMessage):
            if time.monotonic() >= deadline:
                raise KernelError("does not answer in time") from None
            model = _ask(http, "GET", f"api/kernels/{kernel}")
            if model.status_code == 404 or model.json().get("execution_state") == "dead":
                raise KernelError("dies when it is started") from None


def _left(deadline: float) -> float:
    return max(0.1, deadline - time.monotonic())


def _request(session: str, code: str) -> dict[str, Any]:
    header = {
        "msg_id": uuid.uuid4().hex,
        "session": session,
        "username": "hubtool",
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "msg_type": "execute_request",
        "version": "5.3",
    }
    content = {
        "code": code,
        "silent": False,
        "store_history": False,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": True,
    }
    return {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}


def _collect(socket: ClientConnection, request: str, deadline: float) -> str:
    """What the kernel printed for REQUEST, read until it says that it is idle again."""
    printed = ""
    while True:
        try:
            message = json.loads(socket.recv(timeout=_left(deadline)))
        except TimeoutError:
            raise KernelError(f"has not finished in time; so far it printed {printed[-200:]!r}") from None
        kind, content = message.get("msg_type") or message["header"]["msg_type"], message["content"]
        if kind == "status" and content["execution_state"] in ("dead", "restarting"):
            raise KernelError("died")
        if message.get("parent_header", {}).get("msg_id") != request:
            continue
        if kind == "error":
            raise KernelError(f"{content.get('ename')}: {content.get('evalue')}")
        if kind == "stream":
            printed += content["text"]
        elif kind in ("execute_result", "display_data"):
            printed += str(content["data"].get("text/plain", ""))
        elif kind == "status" and content["execution_state"] == "idle":
            return printed
