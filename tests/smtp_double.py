"""A mail server for tests: SMTP on 127.0.0.1 that keeps every message that it takes."""

from __future__ import annotations

import email
import email.policy
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage


@dataclass
class Mail:
    """One message, and whom its envelope named."""

    recipients: list[str]
    message: EmailMessage

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def html(self) -> str:
        body = self.message.get_body(("html",))
        assert body is not None
        return str(body.get_content())


@dataclass
class SmtpDouble:
    """What came in."""

    port: int
    mails: list[Mail] = field(default_factory=list)


class _Session(socketserver.StreamRequestHandler):
    """RFC 5321, as much of it as ``smtplib`` speaks to a server without extensions."""

    server: _Server

    def handle(self) -> None:
        self._say("220 ready")
        recipients: list[str] = []
        while line := self.rfile.readline().decode().strip():
            verb = line.split(" ")[0].split(":")[0].upper()
            if verb == "RCPT":
                recipients.append(line[line.index("<") + 1 : line.index(">")])
            if verb == "DATA":
                self._say("354 go on")
                self.server.double.mails.append(Mail(recipients, self._message()))
                recipients = []
            self._say("221 bye" if verb == "QUIT" else "250 ok")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def _message(self) -> EmailMessage:
        lines = iter(self.rfile.readline, b".\r\n")
        text = b"".join(line[1:] if line.startswith(b".") else line for line in lines)
        return email.message_from_bytes(text, policy=email.policy.default)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    double: SmtpDouble


@contextmanager
def smtp_double() -> Iterator[SmtpDouble]:
    """A server for the length of the block."""
    with _Server(("127.0.0.1", 0), _Session) as server:
        server.double = SmtpDouble(server.server_address[1])
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server.double
        server.shutdown()
