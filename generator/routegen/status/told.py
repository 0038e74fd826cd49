"""The report, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator

from routegen.common.problems import Trouble
from routegen.status.report import Item, Report, RouterItem


def text(report: Report) -> str:
    """Troubles, then one line of what is well."""
    lines = [f"{report.namespace}/{report.name}, target {report.target}"]
    good = [item for item in report.items if not item.troubles]
    for item in report.items:
        if item.troubles:
            lines += [f"  {_name(item)}", *_troubles(item.troubles)]
    lines += [f"  {_name(item)}: {item.note}" for item in good if item.note]
    lines.append(f"  {len(good)} of {len(report.items)} objects are there, as rendered, and accepted")
    for router in report.routers:
        lines += [f"  router {router.pod}", *_troubles(router.troubles)]
        lines += [f"      {sentence}" for sentence in router.engines]
    if not report.routers:
        lines.append("  no router pod was found")
    lines += [f"  not looked at: {sentence}" for sentence in report.unread]
    return "".join(f"{line}\n" for line in lines)


def as_json(report: Report) -> str:
    """The same as one JSON object; ``ok`` is the exit code's."""
    document = {
        "name": report.name,
        "namespace": report.namespace,
        "target": report.target,
        "ok": not report.troubles,
        "objects": [_item(item) for item in report.items],
        "routers": [_router(router) for router in report.routers],
        "unread": list(report.unread),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _name(item: Item) -> str:
    return f"{item.kind} {item.namespace}/{item.name}" if item.namespace else f"{item.kind} {item.name}"


def _troubles(troubles: tuple[Trouble, ...]) -> Iterator[str]:
    for one in troubles:
        yield f"    {one.what}"
        yield f"      -> {one.remedy}"


def _item(item: Item) -> dict[str, object]:
    named = {"kind": item.kind, "namespace": item.namespace, "name": item.name}
    return {**named, "note": item.note, "troubles": _told(item.troubles)}


def _router(router: RouterItem) -> dict[str, object]:
    return {"pod": router.pod, "engines": list(router.engines), "troubles": _told(router.troubles)}


def _told(troubles: tuple[Trouble, ...]) -> list[dict[str, str]]:
    return [{"what": one.what, "remedy": one.remedy} for one in troubles]
