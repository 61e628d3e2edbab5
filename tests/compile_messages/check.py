#!/usr/bin/env python3
"""Wrong user functions give one short error, not a page of templates.

usage: check.py COMPILER INCLUDE_DIRECTORY
"""
import pathlib
import re
import subprocess
import sys

compiler, include = sys.argv[1:3]
source = pathlib.Path(__file__).with_name("wrong_functions.cpp.in")
cases = {int(n): text for n, text in re.findall(r"CASE == (\d+) // (.*)", source.read_text())}
failed = False


def errors(case):
    run = subprocess.run([compiler, "-std=c++20", "-fsyntax-only", f"-DCASE={case}", f"-I{include}", "-x", "c++", str(source)],
                         capture_output=True, text=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"})
    return [line for line in run.stderr.splitlines() if "error:" in line]


for line in errors(0):
    failed = True
    print("the right program does not compile:", line)
for case, text in sorted(cases.items()):
    found = errors(case)
    if len(found) != 1 or text not in found[0]:
        failed = True
        print(f"case {case}: expected one error, \"{text}\", but got {len(found)}:", *found, sep="\n  ")
sys.exit(failed)
