"""TLS on both sides: what a listener serves, and what an engine has to show."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.extensions.transport_sockets.tls import v3 as tls

from routegen.common.addresses import is_ip
from routegen.plan import ListenerTLS, UpstreamTLS
from routegen.plan.router import RouterTLS

from .messages import exact, packed

SYSTEM_AUTHORITIES: Final = "/etc/ssl/certs/ca-certificates.crt"
"""What is trusted where routes.yaml names no authority: the system's, where Debian and Envoy's images keep them."""

_NAME: Final = "envoy.transport_sockets.tls"


def downstream_tls(listener: ListenerTLS) -> core.TransportSocket:
    """Serve HTTPS: TLS 1.2 or newer, HTTP/2 or HTTP/1.1. Files only: the compiler refuses Secrets for this target."""
    certificate = tls.TlsCertificate(
        certificate_chain=core.DataSource(filename=listener.cert_file),
        private_key=core.DataSource(filename=listener.key_file),
    )
    context = tls.DownstreamTlsContext(
        common_tls_context=tls.CommonTlsContext(
            tls_params=_modern(), tls_certificates=[certificate], alpn_protocols=["h2", "http/1.1"]
        )
    )
    return core.TransportSocket(name=_NAME, typed_config=packed(context))


def upstream_tls(settings: UpstreamTLS, hosts: tuple[str, ...], protocol: str = "http/1.1") -> core.TransportSocket:
    """Speak TLS to an engine or a picker; its certificate must name ``server_name``, or else one of ``hosts``."""
    required = (settings.server_name,) if settings.server_name else tuple(dict.fromkeys(hosts))
    dns = tuple(name for name in required if not is_ip(name))
    context = tls.UpstreamTlsContext(
        common_tls_context=tls.CommonTlsContext(tls_params=_modern(), alpn_protocols=[protocol])
    )
    if len(dns) == 1:
        context.sni = dns[0]
    elif dns:
        context.auto_host_sni = True
    if settings.verify:
        assert context.common_tls_context is not None
        context.common_tls_context.validation_context = _validation(settings, required)
    return core.TransportSocket(name=_NAME, typed_config=packed(context))


def router_tls(settings: RouterTLS, hosts: tuple[str, ...]) -> core.TransportSocket:
    """Speak TLS to the router and show it a certificate; its own must name ``server_name``, or else one of ``hosts``.

    Envoy reads the files when it starts.
    """
    own = settings.gateway
    required = (settings.server_name,) if settings.server_name else tuple(dict.fromkeys(hosts))
    shown = tls.TlsCertificate(
        certificate_chain=core.DataSource(filename=own.cert_file), private_key=core.DataSource(filename=own.key_file)
    )
    context = tls.UpstreamTlsContext(
        common_tls_context=tls.CommonTlsContext(
            tls_params=_modern(),
            tls_certificates=[shown],
            validation_context=_validation(UpstreamTLS(ca_file=own.ca_file), required),
            alpn_protocols=["h2"],
        )
    )
    if settings.server_name or not any(map(is_ip, hosts)):
        context.sni = required[0]
    return core.TransportSocket(name=_NAME, typed_config=packed(context))


def _validation(settings: UpstreamTLS, required: tuple[str, ...]) -> tls.CertificateValidationContext:
    kinds = tls.SubjectAltNameMatcherSanType
    return tls.CertificateValidationContext(
        trusted_ca=core.DataSource(filename=settings.ca_file or SYSTEM_AUTHORITIES),
        match_typed_subject_alt_names=[
            tls.SubjectAltNameMatcher(san_type=kinds.IP_ADDRESS if is_ip(name) else kinds.DNS, matcher=exact(name))
            for name in required
        ],
    )


def _modern() -> tls.TlsParameters:
    return tls.TlsParameters(tls_minimum_protocol_version=tls.TlsParametersTlsProtocol.TLSv1_2)
