"""A child that writes as fast as it can: lines of a kilobyte, each with its number."""

import sys

line = b"%010d " + b"x" * 1012 + b"\n"
number = 0
while True:
    sys.stdout.buffer.write(b"".join(line % (number + each) for each in range(64)))
    number += 64
