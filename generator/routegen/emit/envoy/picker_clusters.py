"""Clusters of endpoint pickers, one a pool."""

from __future__ import annotations

from envoy_data_plane.envoy.config.cluster import v3 as cluster
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.endpoint import v3 as endpoint
from envoy_data_plane.envoy.extensions.transport_sockets.raw_buffer import v3 as raw_buffer
from envoy_data_plane.envoy.extensions.upstreams.http import v3 as upstreams
from envoy_data_plane.envoy.type import v3 as envoy_type
from envoy_data_plane.google.protobuf import Struct

from routegen.plan import Picker, Plan, PoolRef

from . import names
from .clusters import spread_over
from .messages import packed, seconds, socket_address
from .tls import upstream_tls

_PLAIN = {"plain": True}
"""What marks, among the ways to connect, the one without TLS."""


def picker_clusters(plan: Plan) -> list[cluster.Cluster]:
    """Make a cluster for each pool's picker, in the order of routes.yaml."""
    made = []
    for backend in plan.pools:
        assert isinstance(backend.reach, PoolRef)
        assert backend.reach.picker is not None
        made.append(_picker_cluster(names.picker(backend.name), backend.reach.picker))
    return made


def _picker_cluster(name: str, picker: Picker) -> cluster.Cluster:
    """HTTP/2; known to be gone at once, so that a pool that fails open does so.

    A stream that is open when its picker goes fails, open pool or not: the picker has the body. So requests must not
    begin one: health checks tell of a picker that hangs or stands back, outlier detection of one whose connections
    fail, a second after the last check or a moment after the first. Unlike elsewhere, none that is out is used
    (``healthy_panic_threshold`` 0). A stream lasts until the picker has answered and no longer, so its length can be
    bounded; no other timeout holds for it.
    """
    protocol = upstreams.HttpProtocolOptions(
        common_http_protocol_options=core.HttpProtocolOptions(max_stream_duration=seconds(picker.timeout)),
        explicit_http_config=upstreams.HttpProtocolOptionsExplicitHttpConfig(
            http2_protocol_options=core.Http2ProtocolOptions()
        ),
    )
    addresses = [socket_address(host, port) for host, port in picker.endpoints]
    made = spread_over(name, addresses, connect_timeout=1, protocol=packed(protocol))
    # A message of its own: the one that is there is every cluster's.
    made.common_lb_config = cluster.ClusterCommonLbConfig(
        healthy_panic_threshold=envoy_type.Percent(value=0), update_merge_window=seconds(0)
    )
    made.outlier_detection = _outlier_detection()
    made.health_checks = [_health_check(picker)]
    assert made.load_assignment is not None
    for one in made.load_assignment.endpoints[0].lb_endpoints:
        if picker.health_port is not None and one.endpoint is not None:
            one.endpoint.health_check_config = endpoint.EndpointHealthCheckConfig(port_value=picker.health_port)
    if picker.tls is not None:
        made.transport_socket_matches = [
            cluster.ClusterTransportSocketMatch(
                name="plain", match=Struct.from_dict(_PLAIN), transport_socket=_plain()
            ),
            cluster.ClusterTransportSocketMatch(
                name="tls",
                match=Struct(),
                transport_socket=upstream_tls(picker.tls, tuple(host for host, _ in picker.endpoints), "h2"),
            ),
        ]
    return made


def _health_check(picker: Picker) -> core.HealthCheck:
    """Ask for its health (gRPC) where it is served, which never has TLS on a port of its own; else a connection."""
    check = core.HealthCheck(
        timeout=seconds(1),
        interval=seconds(1),
        no_traffic_interval=seconds(1),
        unhealthy_threshold=1,
        healthy_threshold=1,
    )
    if picker.health_port is None:
        check.tcp_health_check = core.HealthCheckTcpHealthCheck()
        return check
    check.grpc_health_check = core.HealthCheckGrpcHealthCheck()
    if picker.tls is not None and any(port != picker.health_port for _, port in picker.endpoints):
        check.transport_socket_match_criteria = Struct.from_dict(_PLAIN)
    return check


def _outlier_detection() -> cluster.OutlierDetection:
    """Out after the first connection that fails, the only one too, for two to four seconds."""
    return cluster.OutlierDetection(
        split_external_local_origin_errors=True,
        consecutive_local_origin_failure=1,
        enforcing_consecutive_local_origin_failure=100,
        enforcing_consecutive_5xx=0,
        enforcing_consecutive_gateway_failure=0,
        enforcing_success_rate=0,
        enforcing_local_origin_success_rate=0,
        interval=seconds(0.2),
        base_ejection_time=seconds(2),
        max_ejection_time=seconds(4),
        max_ejection_percent=100,
        always_eject_one_host=True,
    )


def _plain() -> core.TransportSocket:
    return core.TransportSocket(name="envoy.transport_sockets.raw_buffer", typed_config=packed(raw_buffer.RawBuffer()))
