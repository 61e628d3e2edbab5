"""Lists the test cases of a doctest binary as a ctest script. Usage: discover.py BINARY OUTPUT LABEL TIMEOUT [ENV...]

Run after linking. Names may hold any character: doctest reports them as XML, and they are written as CMake bracket
arguments. Two test cases of one name would run each other, so that is an error here.
"""
import os
import subprocess
import sys
import xml.etree.ElementTree as xml


def bracket(text):
    return f"[==[{text}]==]"


def main():
    binary, output, label, timeout, *environment = sys.argv[1:]
    env = dict(os.environ, **dict(e.split("=", 1) for e in environment))
    listing = subprocess.run([binary, "--list-test-cases", "--reporters=xml"], env=env, stdout=subprocess.PIPE)
    if listing.returncode != 0:
        sys.exit(f"{binary} --list-test-cases exits with {listing.returncode}: does a global object throw or crash?")
    seen = {}
    lines = []
    for case in xml.fromstring(listing.stdout).iter("TestCase"):
        name, file = case.get("name"), case.get("filename")
        if name.lower() in seen:
            sys.exit(f"{file}: test case '{name}' exists already in {seen[name.lower()]}: give it another name")
        seen[name.lower()] = file
        # doctest reads its filter as a list of patterns: a comma separates, * and ? match.
        pattern = name.replace("\\", "?").replace(",", "\\,").replace("[", "?").replace("]", "?")
        test = bracket(f"{label}: {name}")
        lines.append(f"add_test({test} {bracket(binary)} {bracket('--test-case=' + pattern)} --no-intro)")
        lines.append(
            f"set_tests_properties({test} PROPERTIES LABELS {label} TIMEOUT {timeout} ENVIRONMENT "
            f"{bracket(';'.join(environment))} FAIL_REGULAR_EXPRESSION {bracket('test cases: +0 ')} "
            f"SKIP_REGULAR_EXPRESSION {bracket('SKIPPED: ')})"
        )
    with open(output, "w") as script:
        script.write("\n".join(lines) + "\n")


main()
