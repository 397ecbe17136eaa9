"""What two brokers let mqadmin print, compared: compare.py RELEASE OURS JAVA RELEASE OURS JAVA ...

A rule of `masks` or `differences` stands in one line, below the comment that says why:

    KIND[@RELEASE] COMMAND :: PATTERN [=> [TEXT]]

COMMAND is a regular expression that the subcommand and its arguments begin with. The kinds:

    mask     what matches the pattern, in either output, is TEXT
    sort     the lines that match the pattern stand in order, in either output
    java     lines of Java's output that match are left out
    ours     lines of our output that match are left out
    block    lines of our output are left out from one that matches to the next that is indented as far
    absent   lines of Java's output are left out whose key, the pattern's group, no line of ours has

A rule that changes nothing, in any release that it is for, is an error, as is one without a reason.
"""
import pathlib
import re
import sys

KINDS = {"masks": ("mask", "sort"), "differences": ("mask", "java", "ours", "block", "absent")}


class Rule:
    def __init__(self, file, number, line):
        self.name = f"{file}:{number}: {line}"
        found = re.fullmatch(r"(\w+)(?:@([\d.]+))? (.+?) :: (.+?)(?: =>( .*)?)?", line)
        if not found or found[1] not in KINDS[file] or (found[1] == "mask") != ("=>" in line):
            sys.exit(f"{self.name}: this is no rule")
        self.kind, self.release, command, pattern, text = found.groups()
        self.text = (text or "").strip()
        self.command, self.pattern, self.hits = re.compile(command), re.compile(pattern), 0

    def apply(self, ours, java):
        """The lines of both, as this rule leaves them."""
        if self.kind == "mask":
            changed = [[self.pattern.sub(self.text, line) for line in lines] for lines in (ours, java)]
        elif self.kind == "sort":
            changed = [self.sorted(lines) for lines in (ours, java)]
        elif self.kind == "java":
            changed = [ours, [line for line in java if not self.pattern.search(line)]]
        elif self.kind == "ours":
            changed = [[line for line in ours if not self.pattern.search(line)], java]
        elif self.kind == "block":
            changed = [self.without_blocks(ours), java]
        else:
            keys = {found[1] for found in map(self.pattern.search, ours) if found}
            changed = [ours, [line for line in java if not self.lacks(line, keys)]]
        self.hits += changed != [ours, java]
        return changed

    def lacks(self, line, keys):
        found = self.pattern.search(line)
        return found and found[1] not in keys

    def without_blocks(self, lines):
        kept, indent = [], None
        for line in lines:
            if indent is not None:
                if indentation(line) == indent:
                    indent = None
            elif self.pattern.search(line):
                indent = indentation(line)
            else:
                kept.append(line)
        return kept

    def sorted(self, lines):
        """Only the places of what matches are shared out anew."""
        places = [at for at, line in enumerate(lines) if self.pattern.search(line)]
        lines = list(lines)
        for at, line in zip(places, sorted(lines[at] for at in places)):
            lines[at] = line
        return lines


def indentation(line):
    return len(line) - len(line.lstrip())


def rules(folder):
    found = []
    for file in KINDS:
        reason = False
        for number, line in enumerate((folder / file).read_text().splitlines(), 1):
            if not line:
                reason = False
            elif line.startswith("#"):
                reason = True
            elif reason:
                found.append(Rule(file, number, line))
            else:
                sys.exit(f"{file}:{number}: there is no reason above this rule")
    return found


def outputs(path):
    """The commands in their order, each with its lines."""
    found = []
    for line in pathlib.Path(path).read_text().splitlines():
        if line.startswith("=== "):
            found.append((line[4:], []))
        else:
            found[-1][1].append(line.rstrip())
    return found


def compare(release, ours, java, all_rules):
    ours, java, failed = outputs(ours), outputs(java), 0
    if [command for command, _ in ours] != [command for command, _ in java] or not ours:
        sys.exit(f"FAIL {release}: not the same commands were run")
    for (command, our_lines), (_, java_lines) in zip(ours, java):
        for rule in all_rules:
            if rule.release in (None, release) and rule.command.match(command):
                our_lines, java_lines = rule.apply(our_lines, java_lines)
        if our_lines == java_lines:
            print(f"PASS {release} {command}")
            continue
        failed += 1
        print(f"FAIL {release} {command}")
        for sign, lines, others in (("java", java_lines, our_lines), ("ours", our_lines, java_lines)):
            for line in [line for line in lines if line not in others] or lines:
                print(f"    {sign}: {line}")
    return failed


def main():
    all_rules, failed, releases = rules(pathlib.Path(__file__).parent), 0, sys.argv[1::3]
    for release, ours, java in zip(releases, sys.argv[2::3], sys.argv[3::3]):
        failed += compare(release, ours, java, all_rules)
    for rule in all_rules:
        if not rule.hits and (rule.release in releases or rule.release is None and len(set(releases)) > 1):
            failed += 1
            print(f"FAIL {rule.name}: it changes nothing; take it out")
    sys.exit(1 if failed else 0)


main()
