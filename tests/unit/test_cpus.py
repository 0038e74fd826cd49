"""How many processors a container allows, read from files as kernels write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from routegen_router import cpus


def limit(folder: Path, own: str, **files: str) -> float | None:
    """The limit where these files are mounted; a path's slashes are written ``__``."""
    (folder / "own").write_text(own)
    for name, text in files.items():
        file = folder / "mounted" / name.replace("__", "/").replace("_max", ".max").replace("_cfs", ".cfs")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return cpus.limit(folder / "mounted", folder / "own")


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"cpu_max": "200000 100000\n"}, 2.0),
        ("0::/\n", {"cpu_max": "50000 100000\n"}, 0.5),
        ("0::/\n", {"cpu_max": "max 100000\n"}, None),
        ("0::/\n", {}, None),
        # Without a namespace of its own: the lowest limit on the way counts.
        ("0::/a/b\n", {"a__b__cpu_max": "max 100000\n", "a__cpu_max": "300000 100000\n"}, 3.0),
        ("0::/a/b\n", {"a__b__cpu_max": "150000 100000\n", "a__cpu_max": "300000 100000\n"}, 1.5),
        # A container's own path, where its folder is mounted as the topmost one.
        ("0::/kubepods/x\n", {"cpu_max": "400000 100000\n"}, 4.0),
        # Version 1, by either name of the controller, and both versions at once.
        ("4:cpu,cpuacct:/\n", {"cpu__cpu_cfs_quota_us": "250000\n", "cpu__cpu_cfs_period_us": "100000\n"}, 2.5),
        ("4:cpu:/x\n", {"cpu__x__cpu_cfs_quota_us": "100000\n", "cpu__x__cpu_cfs_period_us": "50000\n"}, 2.0),
        ("4:cpu:/\n0::/\n", {"cpu__cpu_cfs_quota_us": "-1\n", "cpu__cpu_cfs_period_us": "100000\n"}, None),
        ("3:cpuset:/\n2:cpuacct:/\n", {"cpu__cpu_cfs_quota_us": "1\n", "cpu__cpu_cfs_period_us": "1\n"}, None),
    ],
)
def test_the_limit_is_what_the_files_say(
    tmp_path: Path, own: str, files: dict[str, str], expected: float | None
) -> None:
    assert limit(tmp_path, own, **files) == expected


@pytest.mark.parametrize(("quota", "workers"), [(None, 1), (0.5, 1), (1.9, 1), (0.0, 1)])
def test_workers_are_whole_processors_and_one_at_least(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, workers: int
) -> None:
    monkeypatch.setattr(cpus, "limit", lambda: quota)
    assert cpus.allowed() == workers


def test_no_more_than_the_processors_that_this_process_may_run_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpus, "limit", lambda: 64.0)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    assert cpus.allowed() == 3
