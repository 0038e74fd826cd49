"""Whether `routegen bench` agrees with an independent client: ``python benchmarks/bench_agreement.py``.

Runs aiperf (NVIDIA's client, from PyPI; 139 packages, so in an environment of its own under .tools/aiperf, made at the
first call) and this bench on the same mock engine, one after the other, at 1, 8, 32 and 64 requests at once, and ends
with 1 if a metric differs by more than 3 %. Kept out of the tests for its weight.

On a machine that has other work the two meet different machines, so it ends with 2 where the load average is 1 or more;
``--anyway`` measures all the same, and says what this bench's own checks say of the client.
"""

from __future__ import annotations

import json
import os
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
CONCURRENCIES, ROUNDS, TOKENS = (1, 8, 32, 64), 12, 32
BUSY = 1.0
"""The load average from which on nothing is compared."""
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


def aiperf(programs: Path, url: str, folder: Path, concurrency: int) -> dict[str, Any]:
    """What aiperf measures."""
    tokenizer = folder / "tokenizer"
    subprocess.run([programs / "python", "-c", TOKENIZER, tokenizer], check=True, stderr=subprocess.DEVNULL)
    options = {
        "-m": MODEL,
        "--url": url,
        "--endpoint-type": "chat",
        "--tokenizer": str(tokenizer),
        "--concurrency": concurrency,
        "--request-count": ROUNDS * concurrency,
        "--warmup-request-count": concurrency,
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


def compared(programs: Path, concurrency: int) -> bool:
    """Measure with both at one concurrency; whether they agree."""
    with tempfile.TemporaryDirectory() as name, engine("vllm", TOLD) as url:
        folder = Path(name)
        theirs = aiperf(programs, url, folder, concurrency)
        layout = lay_out(arms.from_urls({"engine": url}, MODEL), mode="solo", control=True, cache="cold")
        plan = design(concurrency, ROUNDS * concurrency, tokens=TOKENS, ramp=0.0)
        found = measured(folder / "run", plan, layout)
    fine, ours = True, found.arms[0]
    print(f"{concurrency} at once")
    print(f"{'metric':<14}{'routegen':>10}{AIPERF:>16}{'apart':>9}")
    for key, (name, statistic, unit) in PAIRS.items():
        figure = ours.figure(key)
        assert figure is not None
        assert figure.median is not None
        their = float(theirs[name][statistic]) * unit
        apart = figure.median / their - 1
        fine = fine and abs(apart) <= TOLERANCE
        print(f"{key:<14}{figure.median:>10.4f}{their:>16.4f}{apart:>+9.2%}")
    for check in found.checks:
        if check.id in {"client", "reading"}:
            print(f"{check.level}: {check.message}")
    return fine


def main() -> int:
    """Measure with both; 1 if they disagree, 2 if the machine has other work."""
    load = os.getloadavg()[0]
    if load >= BUSY and "--anyway" not in sys.argv:
        print(f"load average {load:.1f}: the two clients would meet different machines; --anyway measures all the same")
        return 2
    programs = install()
    fine = [compared(programs, concurrency) for concurrency in CONCURRENCIES]
    print(f"within {TOLERANCE:.0%}" if all(fine) else f"NOT within {TOLERANCE:.0%}")
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
