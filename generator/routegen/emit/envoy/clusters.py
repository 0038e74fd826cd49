"""Clusters: one for each engine, one for the router, and the empty one behind the waiting route."""

from __future__ import annotations

from functools import cache

from envoy_data_plane.envoy.config.cluster import v3 as cluster
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.endpoint import v3 as endpoint
from envoy_data_plane.envoy.extensions.clusters.composite import v3 as composite
from envoy_data_plane.envoy.extensions.upstreams.http import v3 as upstreams
from envoy_data_plane.envoy.type import v3 as envoy_type
from envoy_data_plane.google.protobuf import Any, Struct

from routegen.common.addresses import host_port
from routegen.common.problems import UserError
from routegen.emit import limits
from routegen.plan import Addresses, Backend, Plan, PoolRef, ServiceRef

from . import names
from .balancing import follow_picker
from .messages import needs_dns, packed, parse_address, seconds, socket_address
from .tls import router_tls, upstream_tls


def engine_clusters(plan: Plan) -> list[cluster.Cluster]:
    """Make a cluster for each backend, in the order of routes.yaml, and behind them one for each second choice."""
    pairs = [_pair_cluster(backend.name, second) for backend in plan.backends for second in backend.seconds]
    return [*(_engine_cluster(backend) for backend in plan.backends), *pairs]


def fixed_clusters(plan: Plan) -> list[cluster.Cluster]:
    """Make the clusters that don't depend on the backends."""
    waiting = cluster.Cluster(name=names.WAITING, type=cluster.ClusterDiscoveryType.STATIC, connect_timeout=seconds(1))
    return [_router_cluster(plan), waiting]


def hosts(backend: Backend) -> tuple[tuple[str, int], ...]:
    """Where an engine is: host and port pairs."""
    match backend.reach:
        case ServiceRef() as service:
            return ((service.host, service.port),)
        case Addresses() | PoolRef() as known:
            return known.endpoints


def _engine_cluster(backend: Backend) -> cluster.Cluster:
    """One engine: HTTP/1.1, slow answers are fine, and it is never cut off altogether."""
    addresses = [socket_address(host, port) for host, port in hosts(backend)]
    made = spread_over(names.engine(backend.name), addresses, connect_timeout=limits.CONNECT, protocol=_http1())
    assert made.load_assignment is not None
    for lb_endpoint in made.load_assignment.endpoints[0].lb_endpoints:
        lb_endpoint.metadata = core.Metadata(
            filter_metadata={names.METADATA: Struct.from_dict({names.ENGINE: backend.name})}
        )
    made.health_checks = [_engine_health_check()]
    made.outlier_detection = _engine_outlier_detection()
    if isinstance(backend.reach, PoolRef):
        follow_picker(made)
    if backend.tls is not None:
        made.transport_socket = upstream_tls(backend.tls, tuple(host for host, _ in hosts(backend)))
    return made


@cache
def _http1() -> Any:
    """Packed once for all engines: what is the same for a thousand of them is made once."""
    return packed(
        upstreams.HttpProtocolOptions(
            common_http_protocol_options=core.HttpProtocolOptions(idle_timeout=seconds(limits.KEEP_ALIVE)),
            explicit_http_config=upstreams.HttpProtocolOptionsExplicitHttpConfig(
                http_protocol_options=core.Http1ProtocolOptions()
            ),
        )
    )


def _pair_cluster(first: str, second: str) -> cluster.Cluster:
    """Two engines, one after the other: a request's first attempt goes to the first, its next to the second.

    The bound on retries is this cluster's own; Envoy's default of 3 at a time would lose most of those that a dead
    engine sends on.
    """
    tried = [composite.ClusterConfigClusterEntry(name=names.engine(name)) for name in (first, second)]
    return cluster.Cluster(
        name=names.pair(first, second),
        connect_timeout=seconds(limits.CONNECT),
        lb_policy=cluster.ClusterLbPolicy.CLUSTER_PROVIDED,
        circuit_breakers=circuit_breakers(),
        cluster_type=cluster.ClusterCustomClusterType(
            name="envoy.clusters.composite", typed_config=packed(composite.ClusterConfig(clusters=tried))
        ),
    )


def circuit_breakers() -> cluster.CircuitBreakers:
    """Bounds for what is busy for minutes."""
    return _bounds(limits.PARALLEL)


@cache
def _bounds(most: int) -> cluster.CircuitBreakers:
    # Requests are counted. At a bound on connections they would queue, and twice as many could wait.
    thresholds = cluster.CircuitBreakersThresholds(
        max_connections=2 * most, max_pending_requests=most, max_requests=most, max_retries=1000
    )
    return cluster.CircuitBreakers(thresholds=[thresholds])


@cache
def _engine_health_check() -> core.HealthCheck:
    """A connection, with its TLS handshake where the engine speaks TLS, and nothing else.

    What an engine would be asked costs it something, or says nothing: SGLang generates a token for ``/health``, and
    may take 20 s for it when it is busy; lists of models are behind a key. The router decides whom it sends to; this
    leaves out an address of several where nobody listens. 5 s, since a busy engine shakes hands slowly.
    """
    return core.HealthCheck(
        timeout=seconds(5),
        interval=seconds(2),
        no_traffic_interval=seconds(2),
        unhealthy_threshold=2,
        healthy_threshold=1,
        tcp_health_check=core.HealthCheckTcpHealthCheck(),
    )


@cache
def _engine_outlier_detection() -> cluster.OutlierDetection:
    """Leave out, for a while, an endpoint that can't be connected to; at most half of them, so never an only one.

    An engine's own 5xx doesn't count: a bad prompt must not take an engine away from everybody.
    """
    return cluster.OutlierDetection(
        split_external_local_origin_errors=True,
        consecutive_local_origin_failure=3,
        enforcing_consecutive_local_origin_failure=100,
        enforcing_consecutive_5xx=0,
        enforcing_consecutive_gateway_failure=0,
        enforcing_success_rate=0,
        enforcing_local_origin_success_rate=0,
        interval=seconds(2),
        base_ejection_time=seconds(5),
        max_ejection_time=seconds(30),
        max_ejection_percent=50,
    )


def _router_cluster(plan: Plan) -> cluster.Cluster:
    """The router's workers: HTTP/2, one endpoint each.

    LEAST_REQUEST alone would prefer a dead worker, which fails fastest and so looks idle: outlier detection,
    health checks and the filter's retries make up for it.
    """
    addresses = [parse_address(text) for text in plan.router.addresses]
    protocol = upstreams.HttpProtocolOptions(
        # A worker that hangs answers no ping. Its connections are then closed, and what waits there is asked of another
        # one, well before the deadline for a decision. (The router takes pings at any rate; gRPC's servers by
        # themselves close a connection on which they come more than once in five minutes.)
        common_http_protocol_options=_renewing(plan),
        explicit_http_config=upstreams.HttpProtocolOptionsExplicitHttpConfig(
            http2_protocol_options=core.Http2ProtocolOptions(
                connection_keepalive=core.KeepaliveSettings(interval=seconds(1), timeout=seconds(1))
            )
        ),
    )
    made = spread_over(names.ROUTER_CLUSTER, addresses, connect_timeout=1, protocol=packed(protocol))
    made.health_checks = [
        core.HealthCheck(
            timeout=seconds(1),
            interval=seconds(1),
            no_traffic_interval=seconds(1),
            unhealthy_threshold=2,
            healthy_threshold=1,
            grpc_health_check=core.HealthCheckGrpcHealthCheck(),
        )
    ]
    if plan.router.tls is not None:
        made.transport_socket = router_tls(plan.router.tls, tuple(host_port(text)[0] for text in plan.router.addresses))
        # A health check has a connection of its own, on which gRPC's servers want this as well.
        made.health_checks[0].tls_options = core.HealthCheckTlsOptions(alpn_protocols=["h2"])
    made.outlier_detection = cluster.OutlierDetection(
        consecutive_5xx=3,
        consecutive_gateway_failure=3,
        enforcing_consecutive_gateway_failure=100,
        enforcing_success_rate=0,
        interval=seconds(1),
        base_ejection_time=seconds(2),
        max_ejection_percent=75,
    )
    return made


def _renewing(plan: Plan) -> core.HttpProtocolOptions | None:
    """A certificate is looked at when a connection begins, so with TLS none lives for ever."""
    if plan.router.tls is None:
        return None
    return core.HttpProtocolOptions(max_connection_duration=seconds(limits.ROUTER_CONNECTION))


def spread_over(name: str, addresses: list[core.Address], *, connect_timeout: float, protocol: Any) -> cluster.Cluster:
    """What engines, router and pickers have in common.

    The panic threshold of 1 % means: any healthy endpoint is used alone, and all of them where none is. Without the
    merge window of 0 Envoy would go on using one that it has thrown out, where another change came less than a second
    before: it collects changes of health for a second.
    """
    resolve, pipes = any(map(needs_dns, addresses)), any(address.pipe is not None for address in addresses)
    if resolve and pipes:
        raise UserError("spec.router.addresses: unix: addresses can't stand beside DNS names; use IP addresses")
    kinds, families = cluster.ClusterDiscoveryType, cluster.ClusterDnsLookupFamily
    endpoints = [endpoint.LbEndpoint(endpoint=endpoint.Endpoint(address=address)) for address in addresses]
    options: dict[str, Any] = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol}
    return cluster.Cluster(
        name=name,
        type=kinds.STRICT_DNS if resolve else kinds.STATIC,
        dns_lookup_family=families.V4_PREFERRED if resolve else families.AUTO,
        connect_timeout=seconds(connect_timeout),
        lb_policy=cluster.ClusterLbPolicy.LEAST_REQUEST,
        common_lb_config=_healthy_alone(),
        typed_extension_protocol_options=options,
        circuit_breakers=circuit_breakers(),
        upstream_connection_options=None if pipes else _keepalive(),
        load_assignment=endpoint.ClusterLoadAssignment(
            cluster_name=name, endpoints=[endpoint.LocalityLbEndpoints(lb_endpoints=endpoints)]
        ),
    )


@cache
def _keepalive() -> cluster.UpstreamConnectionOptions:
    keepalive = core.TcpKeepalive(keepalive_probes=3, keepalive_time=60, keepalive_interval=10)
    return cluster.UpstreamConnectionOptions(tcp_keepalive=keepalive)


def _healthy_alone() -> cluster.ClusterCommonLbConfig:
    return cluster.ClusterCommonLbConfig(
        healthy_panic_threshold=envoy_type.Percent(value=1), update_merge_window=seconds(0)
    )
