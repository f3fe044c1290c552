"""Fuzzes kernels and parsers: coverage-guided where atheris is installed, by random mutation where it is not.

    python tests/fuzz/run.py [--seconds 60] [--corpus FOLDER] [--findings FOLDER] [--mutate] [TARGET...]

The seconds are shared by the targets. The corpus grows in FOLDER/TARGET, and is kept for the next run; an input that
fails is written to the folder of findings, and the exit code is 1. `python tests/fuzz/run.py --replay FILE TARGET`
tries one input. atheris (`pip install atheris`, CPython 3.11 to 3.13) follows the branches of the Python twins, whose
compiled twins get the same input, and of the targets. It sees nothing of a twin that leaves its work to the standard
library, and keeps few inputs then: half of the time goes to random mutation, always. `.ci/sanitize` runs this with
kernels built with AddressSanitizer.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

NAMES = (
    *("head", "chunks", "request", "fields", "body", "hpack", "hpack_encoder", "frames", "frames_sent"),
    *("streams", "json", "drive", "form", "url", "cookie"),
)
# What separates, quotes, folds, counts or ends.
TELLING = b'\r\n\0 \t:;,="\\/@?#%[]._0159afAFhH-\x01\x20\x3f\x40\x7f\x80\xbe\xff'
LONGEST = 4096  # bytes of an input


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(NAMES))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--corpus", type=Path, default=Path("build/fuzz/corpus"))
    parser.add_argument("--findings", type=Path, default=Path("build/fuzz/findings"))
    parser.add_argument("--mutate", action="store_true", help="no atheris, even if it is installed")
    parser.add_argument("--seed", type=int, default=None, help="of random mutation")
    parser.add_argument("--replay", type=Path)
    parser.add_argument("--under-atheris", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if strange := set(options.targets) - set(NAMES):
        parser.error(f"no such target: {', '.join(sorted(strange))}")
    options.targets = options.targets or list(NAMES)
    if options.replay is not None:
        from targets import TARGETS

        TARGETS[options.targets[0]](options.replay.read_bytes())
        return 0
    if options.under_atheris:
        return fuzz_with_atheris(options.targets[0], options)
    guided = not options.mutate and importlib.util.find_spec("atheris") is not None
    seconds = options.seconds / len(options.targets)
    ways = (guided_run, mutate) if guided else (mutate,)
    failed = [name for name in options.targets if not all(way(name, seconds / len(ways), options) for way in ways)]
    if failed:
        sys.stdout.write(f"FAILED: {', '.join(failed)}; the inputs are in {options.findings}\n")
    return 1 if failed else 0


def guided_run(name: str, seconds: float, options: argparse.Namespace) -> bool:
    """Run one target in a process of its own, since libFuzzer ends that; return whether nothing was found."""
    command = [sys.executable, __file__, name, "--under-atheris", "--seconds", str(max(seconds, 1))]
    folders = ["--corpus", str(options.corpus), "--findings", str(options.findings)]
    done = subprocess.run([*command, *folders], capture_output=True, text=True, errors="replace", check=False)
    last = [line for line in done.stderr.splitlines() if " cov: " in line or line.startswith("stat::number")]
    sys.stdout.write(f"{name}: exit code {done.returncode}; {' '.join(last[-2:])}\n")
    if done.returncode:
        sys.stdout.write(done.stdout[-3000:] + done.stderr[-3000:])
    return done.returncode == 0


def fuzz_with_atheris(name: str, options: argparse.Namespace) -> int:
    import atheris

    with atheris.instrument_imports(include=["httpx_fast", "targets"]):
        from targets import TARGETS, seeds

    corpus, findings = options.corpus / name, options.findings / name
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)
    settings = [f"-max_total_time={int(options.seconds)}", f"-max_len={LONGEST}", f"-artifact_prefix={findings}/"]
    atheris.Setup([sys.argv[0], *settings, "-print_final_stats=1", "-timeout=30", str(corpus)], TARGETS[name])
    atheris.Fuzz()
    return 0


def mutate(name: str, seconds: float, options: argparse.Namespace) -> bool:
    """Run one target on mutated seeds; return whether nothing was found."""
    from targets import TARGETS, seeds

    target, known = TARGETS[name], seeds(name)
    folder = options.corpus / name
    known += [path.read_bytes() for path in sorted(folder.glob("*"))] if folder.is_dir() else []
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    dice = random.Random(seed)
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        data = dice.choice(known) if count >= len(known) else known[count]
        if count >= len(known):
            data = mutated(dice, data, known)
        try:
            target(data)
        except Exception as error:
            path = options.findings / name / f"{seed}-{count}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            sys.stdout.write(f"{name}: {type(error).__name__}: {str(error)[:2000]}\n{path}\n")
            return False
        count += 1
    sys.stdout.write(f"{name}: {count} inputs, seed {seed}\n")
    return True


def mutated(dice: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """A copy with some bytes changed, lost, put in or doubled, or with a stretch of another input."""
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 3, 8))):
        at = dice.randrange(len(changed) + 1)
        how = dice.randrange(6)
        if how == 0:
            changed[at : at + 1] = bytes([dice.choice(TELLING)])
        elif how == 1:
            del changed[at : at + dice.randint(1, 4)]
        elif how == 2:
            changed[at:at] = bytes([dice.choice(TELLING)])
        elif how == 3:
            changed[at:at] = changed[at : at + dice.randint(1, 40)]
        elif how == 4 and at < len(changed):
            changed[at] ^= 1 << dice.randrange(8)
        else:
            other = dice.choice(others)
            start = dice.randrange(len(other) + 1)
            changed[at:at] = other[start : start + dice.randint(1, 40)]
    return bytes(changed[:LONGEST])


if __name__ == "__main__":
    sys.exit(main())
