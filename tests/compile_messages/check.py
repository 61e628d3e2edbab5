#!/usr/bin/env python3
"""Wrong user functions give one short error, not a page of templates.

usage: check.py COMPILER INCLUDE_DIRECTORY
"""
import concurrent.futures
import pathlib
import re
import subprocess
import sys

here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here.parent.parent / "tools" / "checks"))
from precompiled import Precompiled  # noqa: E402

compiler, include = sys.argv[1:3]
command = [compiler, "-std=c++20", "-fsyntax-only", f"-I{include}"]
source = here / "wrong_functions.cpp.in"
cases = {int(n): text for n, text in re.findall(r"CASE == (\d+) // (.*)", source.read_text())}
failed = False


def errors(case, flags):
    run = subprocess.run([*command, *flags, f"-DCASE={case}", "-x", "c++", str(source)], capture_output=True, text=True,
                         env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"})
    return [line for line in run.stderr.splitlines() if "error:" in line]


with Precompiled(command) as flags_for, concurrent.futures.ThreadPoolExecutor(2) as pool:
    flags = flags_for(source.read_text())
    numbers = [0, *sorted(cases)]
    for case, found in zip(numbers, pool.map(lambda n: errors(n, flags), numbers)):
        if case == 0:
            for line in found:
                failed = True
                print("the right program does not compile:", line)
        elif len(found) != 1 or cases[case] not in found[0]:
            failed = True
            print(f"case {case}: expected one error, \"{cases[case]}\", but got {len(found)}:", *found, sep="\n  ")
sys.exit(failed)
