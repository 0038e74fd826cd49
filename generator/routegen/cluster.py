"""A live cluster, only read. The one module that imports ``kubernetes`` (extra ``cluster``)."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from http import HTTPStatus
from http.client import responses
from typing import Any, Final

from routegen.common.asking import Answer, Question
from routegen.common.problems import UserError
from routegen.common.words import choices
from routegen.distribution import how_to_install

_TIMEOUT_SECONDS: Final = 30.0
_PROXY_SECONDS: Final = 10.0


class UnknownKindError(Exception):
    """This cluster has no such kind."""


class RefusedError(Exception):
    """The cluster gives no answer to this question; the message says why."""


class Cluster:
    """A connection: a kubeconfig's, or inside a pod its service account's.

    :param context: of the kubeconfig; its current one where that is ``None``.
    :param kubeconfig: its file; where that is ``None``, as kubectl finds it (``KUBECONFIG``, ``~/.kube/config``).
    :raises UserError: the package ``kubernetes`` is missing, or the cluster can't be reached.
    """

    def __init__(self, context: str | None = None, kubeconfig: str | None = None) -> None:
        try:
            from kubernetes import dynamic  # noqa: PLC0415 - an optional dependency, and slow to import
        except ImportError as error:
            raise UserError(f"reading a cluster needs the package kubernetes; {how_to_install('cluster')}") from error
        where = ""
        try:
            connected = _connect(context, kubeconfig)
            where = f"{connected.configuration.host}: "
            if not connected.configuration.verify_ssl:
                _as_the_kubeconfig_says()
            self._client = dynamic.DynamicClient(connected)  # type: ignore[no-untyped-call]
        except UserError as error:
            raise UserError(f"can't reach the cluster: {error}") from error
        except Exception as error:  # any failure of its many transports and credential plugins
            raise UserError(f"can't reach the cluster: {where}{_why(error)}") from error

    def list(
        self,
        version: str,
        kind: str,
        namespace: str | None = None,
        *,
        selector: str | None = None,
        timeout: float = _TIMEOUT_SECONDS,
    ) -> list[dict[str, Any]]:
        """The objects of one kind, in all namespaces or one.

        :param selector: only those with these labels, as ``kubectl -l`` takes them.
        :raises UnknownKindError: the cluster doesn't know the kind.
        :raises RefusedError: it may not be read, or the cluster doesn't answer.
        """
        from kubernetes import dynamic  # noqa: PLC0415
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415

        try:
            resource = self._client.resources.get(api_version=version, kind=kind)
            answer = resource.get(namespace=namespace, label_selector=selector, _request_timeout=timeout).to_dict()
        except dynamic.exceptions.ResourceNotFoundError as error:
            raise UnknownKindError(kind) from error
        except ApiException as error:
            raise RefusedError(f"{error.status} {error.reason}") from error
        except Exception as error:  # the transport's, of several libraries
            raise RefusedError(_why(error)) from error
        return list(answer.get("items") or ())

    def ask_pod(self, namespace: str, pod: str, path: str, *, scheme: str = "http", port: int) -> bytes:
        """What a pod answers to a GET, through the API server.

        :raises RefusedError: it may not be asked, or doesn't answer with 200.
        """
        answer = self.ask(Question(namespace, pod, port, path, "", scheme))
        if answer.status != HTTPStatus.OK:
            raise RefusedError(f"{answer.status} {responses.get(answer.status, '')}".rstrip())
        return answer.body

    def ask(self, question: Question) -> Answer:
        """What a pod answers, whatever the status.

        :raises RefusedError: it may not be asked, or can't be.
        """
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415

        place = f"{question.pod}:{question.port}"
        if question.scheme != "http":
            place = f"{question.scheme}:{place}"
        whole = f"/api/v1/namespaces/{question.namespace}/pods/{place}/proxy{question.path}"
        headers = {"header_params": {"Host": question.host}} if question.host else {}
        try:
            answer = self._client.request("GET", whole, serialize=False, _request_timeout=_PROXY_SECONDS, **headers)
            return Answer(answer.status, bytes(answer.data))
        except ApiException as error:
            body = error.body if isinstance(error.body, bytes) else (error.body or "").encode()
            if b'"kind":"Status"' in body.replace(b" ", b""):  # the API server's own word
                raise RefusedError(f"{error.status} {error.reason}") from error
            return Answer(int(error.status), body)
        except Exception as error:  # the transport's, of several libraries
            raise RefusedError(_why(error)) from error


def _connect(context: str | None, kubeconfig: str | None) -> Any:
    from kubernetes import client, config  # noqa: PLC0415

    try:
        return config.new_client_from_config(config_file=kubeconfig, context=context)  # type: ignore[no-untyped-call]
    except Exception as error:
        named = context is not None or kubeconfig is not None or "KUBERNETES_SERVICE_HOST" not in os.environ
        if named or not isinstance(error, config.ConfigException):
            told = _wrong_kubeconfig(context, kubeconfig)
            if told is None:
                raise
            raise UserError(told) from error
    inside = client.Configuration()
    config.load_incluster_config(client_configuration=inside)  # type: ignore[no-untyped-call]
    return client.ApiClient(inside)


def _as_the_kubeconfig_says() -> None:
    """Don't warn with every request, in Python's words, of what the kubeconfig asks for."""
    from urllib3 import disable_warnings, exceptions  # noqa: PLC0415 - comes with kubernetes

    disable_warnings(exceptions.InsecureRequestWarning)


def _wrong_kubeconfig(context: str | None, kubeconfig: str | None) -> str | None:
    """What is wrong with the file or the name that was given, where it is that: the client's own words tell little."""
    import yaml  # noqa: PLC0415 - slow to import
    from kubernetes import config  # noqa: PLC0415

    file = kubeconfig or config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION
    if not any(os.path.exists(os.path.expanduser(one)) for one in file.split(os.pathsep)):  # noqa: PTH110, PTH111 - a list of files
        return f"there is no kubeconfig at {file}; the variable KUBECONFIG can name another"
    try:
        known = [one["name"] for one in config.list_kube_config_contexts(file)[0]]  # type: ignore[no-untyped-call]
    except yaml.YAMLError:
        return f"{file} is not YAML, so no kubeconfig"
    except (config.ConfigException, OSError):  # what was raised before says more
        return None
    if context is not None and context not in known:
        return f'the kubeconfig {file} has no context "{context}"; {choices(context, known)}'
    return None


def _why(error: Exception) -> str:
    """One line: what the system said, below all that the client's libraries wrap it in."""
    for cause in reversed(list(_causes(error))):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate isn't accepted: {cause.verify_message}"
        if isinstance(cause, OSError) and cause.strerror:
            return f"{cause.filename}: {cause.strerror}" if cause.filename else cause.strerror
    status, reason = getattr(error, "status", None), getattr(error, "reason", None)
    if isinstance(status, int) and isinstance(reason, str):  # the API server's own answer
        return f"{status} {reason}"
    return (str(error) or type(error).__name__).strip().splitlines()[0]


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """From the outermost to the innermost; urllib3 keeps its own under ``reason``."""
    while error is not None:
        yield error
        inner = getattr(error, "reason", None)
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__
