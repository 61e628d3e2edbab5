"""Prints "passed failed skipped" of a ctest report; shows failed tests on the standard error stream, with their output.
Usage: report.py REPORT LOG

A test whose program is missing counts as failed: only a test that says so itself (exit code 77) is skipped.
"""
import sys
import xml.etree.ElementTree as xml

SHOWN = 6000  # characters of output per failed test


def main():
    report, log = sys.argv[1:]
    try:
        cases = list(xml.parse(report).getroot().iter("testcase"))
    except (OSError, xml.ParseError):
        with open(log, encoding="utf-8", errors="replace") as file:
            sys.stderr.write(file.read()[-SHOWN:])
        return 1
    passed = failed = skipped = 0
    for case in cases:
        skip = case.find("skipped")
        if case.get("status") == "run":
            passed += 1
        elif skip is not None and skip.get("message", "").startswith("SKIP_"):
            skipped += 1
        else:
            failed += 1
            output = case.findtext("system-out") or (skip.get("message") if skip is not None else "")
            if len(output) > SHOWN:
                output = output[:SHOWN // 2] + "\n...\n" + output[-SHOWN // 2:]
            print(f"\nFAILED {case.get('name')} ({case.get('time')} s)\n{output}", file=sys.stderr)
    print(passed, failed, skipped)
    return 0 if cases else 1


if __name__ == "__main__":
    sys.exit(main())
