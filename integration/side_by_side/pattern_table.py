#!/usr/bin/env python3
"""Makes the table that cargo's tests hold regular expressions against, from what Go answers:

    python3 integration/side_by_side/pattern_table.py 300 1 |
        go run integration/side_by_side/go_regexp.go > crates/model/src/pattern/cases.jsonl

Writes the patterns that are written and so many random ones of a seed, each with the texts to try it on. A larger table,
with all texts for each pattern (`go_regexp.go all`), can be tried by SEALINE_PATTERN_CASES.
"""

import json
import random
import sys

from patterns import VALUES, WRITTEN, Patterns

count, seed = int(sys.argv[1]), int(sys.argv[2])
choice = random.Random(seed)
patterns = Patterns(choice)
for pattern in [*WRITTEN, *(patterns.pattern() for _ in range(count))]:
    texts = choice.sample(VALUES, len(VALUES))
    print(json.dumps([pattern, texts], ensure_ascii=False))
