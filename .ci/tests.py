"""Reads `go test -json`, prints what failed and the time of each package, writes the counts: tests.py LOG COUNTS."""

import collections
import json
import sys


def main(log, counts):
    output, result, broken = collections.defaultdict(list), {}, False
    with open(log, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if not line.startswith("{"):  # make's echo of the command
                continue
            event = json.loads(line)
            key = event.get("Package") or event.get("ImportPath", "?"), event.get("Test")
            action = event["Action"]
            if action in ("output", "build-output"):
                output[key].append(event["Output"])
            elif action in ("pass", "fail", "skip"):
                result[key] = action
                if not key[1]:
                    print(f"{action:4} {event.get('Elapsed', 0):7.1f} s  {key[0]}")
            elif action == "build-fail":
                result[key] = "fail"
    broken_in = {key[0] for key, action in result.items() if action == "fail" and key[1]}
    for key, action in result.items():
        if action == "fail":
            broken = True
            if not key[1] and key[0] in broken_in:  # its tests say it
                continue
            print(f"\nFAIL {key[0]} {key[1] or ''}")
            print("".join(output[key][-60:]), end="")
    tests = collections.Counter(action for key, action in result.items() if key[1])
    with open(counts, "w", encoding="utf-8") as f:
        f.write(f"{tests['pass']} passed, {tests['fail']} failed, {tests['skip']} skipped\n")
    if not result:
        print("no test ran")
    return 1 if broken or not result else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
