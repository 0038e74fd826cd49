"""The reader of engines' sources, on small sources in the manner of both engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine_options import _ENGINES, _table
from engine_sources import UNKNOWN, Option, Sources

VLLM = """
from typing import TYPE_CHECKING, Literal
if TYPE_CHECKING:
    VLLM_FAST: bool = False
    VLLM_SIZE: int = 32 * 1024
environment_variables: dict = {"VLLM_FAST": lambda: 1, "VLLM_SIZE": lambda: 2, "VLLM_ELSE": lambda: 3}
Mode = Literal["a", "b"]
class Level(IntEnum):
    LOW = 0
    HIGH = 2
@config
class ModelConfig:
    name: str = "m"
    mode: Mode = "a"
    level: Level = Level.HIGH
    eager: bool = False
    length: int | None = Field(default=None, ge=1)
    names: list[str] | None = None
    words: list[str] = field(default_factory=lambda: ["*"])
    shown: bool | str | None = None
    inner: InnerConfig = Field(default_factory=InnerConfig)
    here: str = somewhere()
class InnerConfig:
    x: int = 1
class BaseFrontendArgs:
    enable_log: bool = False
    origins: list[str] = field(default_factory=lambda: ["*"])
    @classmethod
    def _customize_cli_kwargs(cls, frontend_kwargs):
        del frontend_kwargs["origins"]["nargs"]
        return frontend_kwargs
    @classmethod
    def add_cli_args(cls, parser):
        frontend_kwargs = get_kwargs(cls)
        frontend_kwargs = cls._customize_cli_kwargs(frontend_kwargs)
        for key, value in frontend_kwargs.items():
            extra = value.pop("flags", [])
            group.add_argument(*extra, f"--{key.replace('_', '-')}", **value)
class FrontendArgs(BaseFrontendArgs):
    port: int = 8000
    @classmethod
    def _customize_cli_kwargs(cls, frontend_kwargs):
        frontend_kwargs = super()._customize_cli_kwargs(frontend_kwargs)
        frontend_kwargs["port"]["default"] = 8001
        return frontend_kwargs
class EngineArgs:
    @staticmethod
    def add_cli_args(parser):
        kwargs = get_kwargs(ModelConfig)
        if not helping():
            group.add_argument("--model", **kwargs["name"])
        group.add_argument("--mode", **kwargs["mode"])
        group.add_argument("--level", **kwargs["level"])
        group.add_argument("--enforce-eager", **kwargs["eager"])
        group.add_argument("--length", "-l", **{**kwargs["length"], "default": 7})
        group.add_argument("--names", **kwargs["names"])
        group.add_argument("--words", **kwargs["words"])
        group.add_argument("--shown", **kwargs["shown"])
        group.add_argument("--inner", **kwargs["inner"])
        group.add_argument("--here", **kwargs["here"])
class AsyncEngineArgs(EngineArgs):
    @staticmethod
    def add_cli_args(parser):
        parser.add_argument("--log", action=argparse.BooleanOptionalAction, default=True)
def make_arg_parser(parser):
    parser.add_argument("model_tag", nargs="?")
    parser.add_argument("--headless", action="store_true", default=False)
"""
SGLANG = """
class Envs:
    SGLANG_FAST = EnvBool(True)
    SGLANG_DIR = EnvStr(somewhere())
class ServerArgs:
    model_path: A[str, Arg(help="h", aliases=["--model"])]
    tp_size: A[int, Arg(help="h", cli_name="--tp-size", aliases=["--tensor-parallel-size"])] = 1
    names: A[Optional[List[str]], "h"] = None
    fast: A[bool, "h"] = False
    quiet: A[bool, Arg(no_cli=True)] = False
    pair: A[bool, Arg(help="h", action=argparse.BooleanOptionalAction)] = True
    bare: int = 3
    @staticmethod
    def add_cli_args(parser):
        add_cli_args_from_dataclass(parser, ServerArgs)
        parser.add_argument("--quiet", action=DeprecatedStoreTrueAction, new_flag="--silent")
        parser.add_argument("--old", action=DeprecatedAliasStoreAction, default=argparse.SUPPRESS, type=int)
        parser.add_argument("--bare", type=int, default=ServerArgs.bare)
"""


def _read(tmp_path: Path, engine: str, text: str) -> tuple[dict[str, Option], dict[str, Any]]:
    file = tmp_path / "source.py"
    file.write_text(text, encoding="utf-8")
    options, variables = _ENGINES[engine](Sources().read([file]))
    return {option.flags[0]: option for option in options}, variables


@pytest.mark.parametrize(
    ("flag", "takes", "default"),
    [
        ("--model", "one", "m"), ("--mode", "one", "a"), ("--level", "one", 2), ("--enforce-eager", "none", False),
        ("--length", "one", 7), ("--names", "many", None), ("--words", "many", ["*"]), ("--shown", "maybe", None),
        ("--inner", "one", UNKNOWN), ("--here", "one", UNKNOWN), ("--enable-log", "none", False),
        ("--origins", "one", ["*"]), ("--port", "one", 8001), ("--log", "none", True), ("--headless", "none", False),
    ],
)  # fmt: skip
def test_vllms_manner(flag: str, takes: str, default: Any, tmp_path: Path) -> None:
    options, variables = _read(tmp_path, "vllm", VLLM)
    assert (options[flag].takes, options[flag].default) == (takes, default)
    assert variables == {"VLLM_FAST": False, "VLLM_SIZE": 32768, "VLLM_ELSE": UNKNOWN}


def test_vllms_switches_have_opposites(tmp_path: Path) -> None:
    options, _ = _read(tmp_path, "vllm", VLLM + "class EnableDisableAction: pass\n")
    assert options["--enforce-eager"].opposites == ["--no-enforce-eager"]
    assert options["--enable-log"].opposites == ["--no-enable-log", "--disable-log"]
    assert options["--length"].flags == ["--length", "-l"]


@pytest.mark.parametrize(
    ("flag", "takes", "default"),
    [
        ("--model-path", "one", None), ("--tp-size", "one", 1), ("--names", "many", None), ("--fast", "none", False),
        ("--pair", "none", True), ("--quiet", "none", False), ("--old", "one", None), ("--bare", "one", 3),
    ],
)  # fmt: skip
def test_sglangs_manner(flag: str, takes: str, default: Any, tmp_path: Path) -> None:
    options, variables = _read(tmp_path, "sglang", SGLANG)
    assert (options[flag].takes, options[flag].default) == (takes, default)
    assert options["--tp-size"].flags == ["--tp-size", "--tensor-parallel-size"]
    assert variables == {"SGLANG_FAST": True, "SGLANG_DIR": UNKNOWN}


def test_a_flag_that_cannot_be_followed_ends_the_reading(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="can't follow"):
        _read(tmp_path, "vllm", VLLM.replace('**kwargs["here"]', "**elsewhere()"))
    with pytest.raises(SystemExit, match="can't read"):
        _read(tmp_path, "vllm", VLLM.replace('"--here"', "name()"))


def test_versions_become_one_table(tmp_path: Path) -> None:
    old, _ = _read(tmp_path, "sglang", SGLANG)
    new, _ = _read(tmp_path, "sglang", SGLANG.replace("bare: int = 3", "bare: int = 4").replace("fast: A", "faster: A"))
    text = _table("sglang", {"1.0.0": (list(old.values()), {}), "1.1.0": (list(new.values()), {})})
    lines = text.splitlines()
    assert '"--bare": {"takes": "one", "defaults": {"1.0.0": 3, "1.1.0": 4}},' in lines
    assert '"--fast": {"takes": "none", "in": ["1.0.0"], "default": false},' in lines
    assert '"--tp-size": {"takes": "one", "also": ["--tensor-parallel-size"], "default": 1}' in lines
