"""What pyperf starts, again and again: it measures the pieces in this process. See command.py."""

from __future__ import annotations

import pyperf

from bench.micro.pieces import pieces


def main() -> None:
    """Measure the pieces that were asked for; pyperf reads its own options."""

    def pass_on(command: list[str], chosen: object) -> None:
        command += [f"--piece={part}" for part in getattr(chosen, "piece", [])]

    runner = pyperf.Runner(add_cmdline_args=pass_on)
    runner.argparser.add_argument("--piece", action="append", default=[], help="part of a name; default: all")
    wanted = runner.parse_args().piece
    for name, piece in pieces().items():
        if not wanted or any(part in name for part in wanted):
            runner.bench_func(name, piece)


if __name__ == "__main__":
    main()
