#!/usr/bin/env python3
"""The figures of `tools/bench --json FILE` as the tables of docs/benchmarks.md. Usage: table.py FILE..."""
import json
import sys

# Million records per CPU second of Flink 2.3.0 (object reuse, serialisers of its own, one JVM), measured with the same
# workloads on a machine with two cores: parallelism 1 and 2. None: not measured.
FLINK = {
    "W1 map and filter": (56, 53),
    "W2 keyed sum, 10,000 keys": (3.7, 4.9),
    "W2 keyed sum, 1,000,000 keys": (1.3, 1.4),
    "W3 word count": (5.1, 5.1),
    "W4 tumbling count": (3.6, 3.7),
    "W5 sliding sum, 60 s / 0.5 s": (0.0086, None),
    "W6 Yahoo benchmark": (12, 16),
    "Nexmark q0 bids through": (46, None),
    "Nexmark q1 price converted": (42, None),
    "Nexmark q2 some auctions": (49, None),
    "Nexmark q3 incremental join": (25, None),
    "Nexmark q5 hot auctions, sliding 10 s / 2 s": (0.67, 0.65),
    "Nexmark q7 highest bid, tumbling 10 s": (7.1, 5.6),
    "Nexmark q8 new sellers, window join": (13, 9.3),
}


def million(rate):
    return f"{rate / 1e6:.1f}"


def row(figure):
    per_cpu = figure["records_per_cpu_second"]
    flink = FLINK.get(figure["name"], (None, None))[min(figure["parallelism"], 2) - 1]
    times = f"{per_cpu / 1e6 / flink:.{0 if per_cpu / 1e6 / flink >= 100 else 1}f}" if flink else ""
    return [figure["name"], figure["parallelism"], million(figure["records_per_second"]), million(per_cpu),
            million(figure["hand_records_per_second"]), f"{figure['ratio']:.2f}",
            f"{figure['ratio_low']:.2f} to {figure['ratio_high']:.2f}", f"{figure['ratio_of_cpu']:.2f}",
            flink or "", times]


def main(files):
    figures = [f for name in files for f in json.load(open(name))]
    print("| workload | parallelism | engine | per CPU second | hand loop | ratio | of the pairs | of CPU | "
          "Flink per CPU second | times Flink |\n" + "| --- " * 10 + "|")
    for f in figures:
        if f["hand_records_per_second"] > 0:
            print("| " + " | ".join(str(cell) for cell in row(f)) + " |")
    print("\n| what | figure |\n| --- | --- |")
    for f in figures:
        if f["note"]:
            print(f"| {f['name']} | {f['note']} |")


main(sys.argv[1:])
