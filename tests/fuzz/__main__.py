"""`python -m tests.fuzz [--seconds N] [TARGET ...]`: each target in a process of its own, N seconds, guided by coverage.

Exits 1 with the input of every finding. Without atheris (it has no build for every platform) it says so and exits 0: then
tests/fuzz/test_targets.py is what there is.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

INSTRUMENTED = ["lbproxy.http", "lbproxy.config", "lbproxy.ipc.codec", "lbproxy.proxy"]


def fuzz(name: str, folder: Path, seconds: int) -> None:
    """In the child: until the time is up or something is found."""
    import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]  # ships no types; not everywhere

    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz import targets

    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(targets.seeds(name)):
        (corpus / f"{number:04}").write_bytes(seed)
    limits = [f"-max_total_time={seconds}", "-max_len=2048", "-timeout=10", "-rss_limit_mb=1024", f"-artifact_prefix={folder}/"]
    atheris.Setup([sys.argv[0], str(corpus), *limits, "-verbosity=0", "-print_final_stats=1"], targets.TARGETS[name])
    atheris.Fuzz()


def run(name: str, seconds: int) -> bool:
    """One target in a process of its own; True when nothing was found."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.fuzz", "--seconds", str(seconds), "--in", folder, name]
        ended = subprocess.run(command, capture_output=True, text=True, errors="backslashreplace", check=False)
        runs = [line.split()[-1] for line in ended.stderr.splitlines() if "number_of_executed_units" in line]
        print(f"{name}: {runs[0] if runs else '?'} runs, {'nothing found' if ended.returncode == 0 else 'FOUND'}", flush=True)
        if ended.returncode:
            print(ended.stdout[-6000:], ended.stderr[-6000:], sep="\n")
            for file in sorted(Path(folder).glob("*-*")):
                print(f"input ({file.name}): {file.read_bytes()!r}")
        return ended.returncode == 0


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description="Fuzz what parses hostile bytes.")
    parser.add_argument("targets", nargs="*", help="default: all")
    parser.add_argument("--seconds", type=int, default=10, help="per target")
    parser.add_argument("--in", dest="folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed: tests/fuzz/test_targets.py has to do")
        return 0
    if options.folder is not None:
        fuzz(options.targets[0], options.folder, options.seconds)
        return 0
    from tests.fuzz.targets import TARGETS

    sound = [run(name, options.seconds) for name in options.targets or TARGETS]
    return 0 if all(sound) else 1


if __name__ == "__main__":
    sys.exit(main())
