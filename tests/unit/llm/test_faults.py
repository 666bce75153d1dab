"""What broken connections mean."""

from __future__ import annotations

import ssl

import httpx2

from prefect_llm_reports.tasks.contract import errors
from prefect_llm_reports.tasks.llm.faults import BodyTooLarge, NotSent, broken_connection
from tests.unit.llm.test_replies import HOST


def test_broken_connections_have_their_classes() -> None:
    """An untrusted certificate is fatal, an endless body ends one report, the rest is retried."""
    certificate = ConnectionError("wrapped")
    certificate.__cause__ = ssl.SSLCertVerificationError(1, "self-signed certificate")
    assert type(broken_connection(certificate, HOST)) is errors.CertificateRefused
    endless = ConnectionError()
    endless.__context__ = BodyTooLarge("stopped at 8 MB")
    rejected = broken_connection(endless, HOST)
    assert type(rejected) is errors.CallRejected
    assert "8 MB" in str(rejected)
    reset = broken_connection(ConnectionResetError(104, "reset by peer"), HOST)
    assert type(reset) is errors.EndpointUnavailable
    assert "reset by peer" in str(reset)
    assert "TimeoutError" in str(broken_connection(TimeoutError(), HOST))


def test_a_request_that_found_no_connection_was_not_sent() -> None:
    """Without a connection nothing can have been billed; a lost one may have been."""
    for cause, kind in (
        (httpx2.ConnectError("refused"), NotSent),
        (httpx2.ConnectTimeout("too late"), NotSent),
        (httpx2.ReadError("reset"), errors.EndpointUnavailable),
    ):
        error = ConnectionError("wrapped")
        error.__cause__ = cause
        assert type(broken_connection(error, HOST)) is kind
