# What the output of cargo test, of pytest and of .ci/readme.py comes to: each test that was skipped, with its reason, and
# then one line, `N passed, N failed, N skipped`.
#
#   test NAME ... ignored, REASON                    libtest
#   test NAME ... ignored (REASON)                   tests/support/trials.rs
#   test result: ok. 41 passed; 0 failed; 1 ignored; cargo, a line for each binary
#   SKIPPED [1] FILE:LINE: REASON                    pytest
#   2 failed, 58 passed, 1 skipped in 14.66s         pytest
#   integration tests: skipped, REASON               integration/run.sh
#   readme: 12 passed, 0 failed, 1 skipped           .ci/readme.py

/^test .* \.\.\. ignored/ {
  line = $0
  sub(/^test +/, "", line)
  sub(/ +\.\.\. ignored,? ?/, ": ", line)
  skips[line]
}
/^integration tests: skipped, / { skips[$0]; skipped++ }
/^SKIPPED \[/ { line = $0; sub(/^SKIPPED \[[0-9]+\] /, "", line); skips[line] }

/^test result:|^[0-9]+ (passed|failed|error|skipped).* in [0-9.]+s|^readme: / {
  for (i = 1; i < NF; i++) {
    if ($(i + 1) ~ /^passed/) passed += $i
    if ($(i + 1) ~ /^(failed|error)/) failed += $i
    if ($(i + 1) ~ /^(ignored|skipped)/) skipped += $i
  }
}

END {
  for (line in skips) print "skipped: " line
  printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
}
