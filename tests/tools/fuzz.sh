#!/bin/sh
# fuzz.sh BUILD NAME SECONDS [SEED] -- run one libFuzzer target on its corpus and what earlier runs
# found; ends with a total line. A finding stays in BUILD/found/NAME for tests/fuzz/corpus.
set -u
build=$1 name=$2 seconds=$3 seed=${4:-0} # 0: another one every time
found=$build/found/$name
mkdir -p "$found/new"
log=$found/log
ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=1 \
    LSAN_OPTIONS=suppressions=tests/tools/leaks.txt:print_suppressions=0 \
    "$build/fuzzer/$name" -max_total_time="$seconds" -seed="$seed" -timeout=60 -rss_limit_mb=2048 \
    -print_final_stats=1 -artifact_prefix="$found/" -max_len=9000 \
    "$found/new" "tests/fuzz/corpus/$name" > "$log" 2>&1
code=$?
runs=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
covered=$(sed -n 's/.*cov: \([0-9]*\).*/\1/p' "$log" | tail -n 1)
peak=$(sed -n 's/^stat::peak_rss_mb: //p' "$log")
echo "$name: ${runs:-?} runs in $seconds s, ${covered:-?} edges, peak ${peak:-?} MB"
if [ $code = 0 ]; then
    echo "1 passed, 0 failed, 0 skipped"
else
    tail -n 30 "$log"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
fi
