"""Whether `routegen bench` agrees with an independent client: ``python benchmarks/bench_agreement.py``.

Runs aiperf (NVIDIA's client, from PyPI; 139 packages, so in an environment of its own under .tools/aiperf, made at the
first call) and this bench on the same mock engine, one after the other, and ends with 1 if a metric differs by more
than 3 %. Kept out of the tests for its weight.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from bench_accuracy import MODEL, TOLERANCE, Told, design, engine, measured

from routegen.bench import arms
from routegen.bench.layout import lay_out

AIPERF = "aiperf==0.13.0"
HOME = Path(__file__).resolve().parents[1] / ".tools" / "aiperf"
CONCURRENCY, REQUESTS, TOKENS = 8, 96, 32
TOLD = Told(ttft=0.3, tpot=0.03)
PAIRS = {
    "ttft": ("time_to_first_token", "p50", 1e-3),
    "tpot": ("inter_token_latency", "p50", 1e-3),
    "e2e": ("request_latency", "p50", 1e-3),
    "request_rate": ("request_throughput", "avg", 1.0),
    "token_rate": ("output_token_throughput", "avg", 1.0),
}
"""Our key -> aiperf's name, which of its figures, and its unit in ours. Its "inter token latency" is our TPOT."""

TOKENIZER = """
import sys
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
words = {word: number for number, word in enumerate(["<unk>", "<s>", "</s>", *"one two three four five six".split()])}
tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
special = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(sys.argv[1])
"""
"""aiperf wants a tokenizer for its prompts; a word is a token here, as in the mock engine."""


def install() -> Path:
    """The folder of aiperf's programs."""
    programs = HOME / "bin"
    if not (programs / "aiperf").exists():
        print(f"installing {AIPERF} into {HOME}")
        venv.create(HOME, with_pip=True)
        subprocess.run([programs / "python", "-m", "pip", "install", "--quiet", AIPERF], check=True)
    return programs


def aiperf(programs: Path, url: str, folder: Path) -> dict[str, Any]:
    """What aiperf measures."""
    tokenizer = folder / "tokenizer"
    subprocess.run([programs / "python", "-c", TOKENIZER, tokenizer], check=True, stderr=subprocess.DEVNULL)
    options = {
        "-m": MODEL,
        "--url": url,
        "--endpoint-type": "chat",
        "--tokenizer": str(tokenizer),
        "--concurrency": CONCURRENCY,
        "--request-count": REQUESTS,
        "--warmup-request-count": CONCURRENCY,
        "--synthetic-input-tokens-mean": 128,
        "--synthetic-input-tokens-stddev": 0,
        "--output-tokens-mean": TOKENS,
        "--output-tokens-stddev": 0,
        "--extra-inputs": "ignore_eos:true",
        "--ui": "none",
        "--artifact-dir": str(folder / "aiperf"),
    }
    arguments = [str(part) for option in options.items() for part in option]
    command = [str(programs / "aiperf"), "profile", *arguments, "--streaming", "--use-server-token-count"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found: dict[str, Any] = json.loads((folder / "aiperf" / "profile_export_aiperf.json").read_text())
    return found


def main() -> int:
    """Measure with both; 1 if they disagree."""
    programs = install()
    with tempfile.TemporaryDirectory() as name, engine("vllm", TOLD) as url:
        folder = Path(name)
        theirs = aiperf(programs, url, folder)
        layout = lay_out(arms.from_urls({"engine": url}, MODEL), mode="solo", control=True, cache="cold")
        ours = measured(folder / "run", design(CONCURRENCY, REQUESTS, tokens=TOKENS, ramp=0.0), layout).arms[0]
    fine = True
    print(f"{'metric':<14}{'routegen':>10}{AIPERF:>16}{'apart':>9}")
    for key, (name, statistic, unit) in PAIRS.items():
        figure = ours.figure(key)
        assert figure is not None
        assert figure.median is not None
        their = float(theirs[name][statistic]) * unit
        apart = figure.median / their - 1
        fine = fine and abs(apart) <= TOLERANCE
        print(f"{key:<14}{figure.median:>10.4f}{their:>16.4f}{apart:>+9.2%}")
    print(f"within {TOLERANCE:.0%}" if fine else f"NOT within {TOLERANCE:.0%}")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
