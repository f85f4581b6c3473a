"""Alerts by mail, through the server that the settings name: smtp://HOST:PORT, smtp+starttls://USER:PASSWORD@HOST:PORT or smtps://…"""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate
from typing import Final
from urllib.parse import unquote, urlsplit

from adapters.alerts.webhook import Refused, Undelivered
from adapters.settings import BadSettings, Settings

TIMEOUT_S: Final = 10.0
PORTS: Final = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}


def send(settings: Settings, to: str, subject: str, text: str, name: str) -> None:
    """Mail the alert called *name* to the address *to*. Its Message-ID is the same each time. Raises Undelivered, Refused, BadSettings."""
    server = urlsplit(settings.smtp)
    if server.scheme not in PORTS or not server.hostname or not settings.mail_from:
        raise BadSettings("smtp or mail_from is not set as it can be; right would be smtp+starttls://USER:PASSWORD@HOST:587 and an address")
    message = EmailMessage()
    try:
        message["From"], message["To"], message["Subject"] = settings.mail_from, to, subject
        message["Message-ID"] = f"<{name.replace(':', '-')}@{settings.mail_from.rpartition('@')[2]}>"
        message["Date"] = formatdate()
        message.set_content(text)
        message.as_bytes()
    except ValueError as wrong:
        raise Refused(f"{to!r}: {wrong}") from None
    port = server.port or PORTS[server.scheme]
    try:
        with (
            smtplib.SMTP_SSL(server.hostname, port, timeout=TIMEOUT_S, context=ssl.create_default_context())
            if server.scheme == "smtps"
            else smtplib.SMTP(server.hostname, port, timeout=TIMEOUT_S)
        ) as connection:
            if server.scheme == "smtp+starttls":
                connection.starttls(context=ssl.create_default_context())
            if server.username:
                connection.login(unquote(server.username), unquote(server.password or ""))
            connection.send_message(message)
    except smtplib.SMTPRecipientsRefused as refused:
        code, said = next(iter(refused.recipients.values()))
        raise (Refused if code >= 500 else Undelivered)(f"the mail server answered {code} {said.decode(errors='replace')}") from None
    except smtplib.SMTPResponseException as answered:
        error = answered.smtp_error
        words = error.decode(errors="replace") if isinstance(error, bytes) else error
        raise (Refused if answered.smtp_code >= 500 else Undelivered)(f"the mail server answered {answered.smtp_code} {words}") from None
    except (smtplib.SMTPException, OSError) as failed:
        raise Undelivered(f"mail server {server.hostname}:{port}: {type(failed).__name__}: {failed}") from failed
