"""How servers prove who they are."""

from __future__ import annotations

import os
import ssl

from cloudckpt.errors import StorageError

__all__ = ["distrust", "tls_context"]

_EXPIRED = 10
_OTHER_HOST, _OTHER_ADDRESS = 62, 64
"""OpenSSL's numbers, X509_V_ERR_…"""


def tls_context(verify: bool | str | None = None, client_cert: str | tuple[str, str] | None = None) -> ssl.SSLContext:
    """How servers are verified: against the system's trust, a file or folder of authorities, or not at all.

    Args:
        verify: None for the file or folder that REQUESTS_CA_BUNDLE names, or else the system's trust, which is also
            what True means (OpenSSL's own SSL_CERT_FILE and SSL_CERT_DIR count); a path; or False.
        client_cert: a file with a certificate and its key to show to servers, or one file for each.

    Raises:
        StorageError: a file can't be read.
    """
    if verify is None:
        verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
    authorities = verify if isinstance(verify, str) else None
    try:
        if authorities is not None and os.path.isdir(authorities):
            context = ssl.create_default_context(capath=authorities)
        else:
            context = ssl.create_default_context(cafile=authorities)
        if client_cert:
            context.load_cert_chain(*([client_cert] if isinstance(client_cert, str) else client_cert))
    except OSError as error:  # ssl.SSLError is one
        raise StorageError(
            f"the certificates in {authorities or client_cert!r} can't be read ({error}); give a file in PEM format "
            "(verify, AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE, SSL_CERT_FILE, client_cert)"
        ) from error
    context.set_alpn_protocols(["http/1.1"])
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def distrust(subject: str, host: str, error: ssl.SSLCertVerificationError) -> StorageError:
    """The error for a certificate that proves nothing: never a passing one.

    Args:
        subject: the object's URL.
        host: the server's name.
        error: what OpenSSL found.
    """
    if error.verify_code == _EXPIRED:
        advice = "the server's owner must renew it, unless the clock of this machine is wrong"
    elif error.verify_code in (_OTHER_HOST, _OTHER_ADDRESS):
        advice = "ask the server by a name that is in its certificate; somebody in between may pretend to be it"
    else:
        advice = (
            "add its authority to the system's trust, or name its file in SSL_CERT_FILE or AWS_CA_BUNDLE, or in "
            "client_kwargs={'verify': ...}"
        )
    return StorageError(
        f"{subject}: the certificate of {host} is not trusted ({error.verify_message}); {advice}", path=subject
    )
