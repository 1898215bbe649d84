#!/bin/bash
# sandwich.sh -- how far the proof and the attack are apart, per model and norm, on real data.
#
# usage: ROBUST_DATA=... sandwich.sh ROBUST FOLDER [COUNT [METHOD]]
# Trains the networks of docs/real-data.md into FOLDER where they are not there yet, takes
# the first COUNT (16) series of their test sets and prints a line for each network and norm:
# median U/L over the series with L > 0, how many those are, and both medians.
set -u
robust=$1 folder=$2 count=${3:-16} method=${4:-auto} D=${ROBUST_DATA:?}
mkdir -p "$folder"

# sandwich NAME MODEL DATA-AND-OPTIONS...
sandwich() {
    local name=$1 model=$2 norm
    shift 2
    for norm in l1 l2 linf; do
        "$robust" certify "$model" "$@" --norm $norm --count "$count" --method "$method" \
            --attack auto --json --quiet --set bound.tolerance=0.02 --set bound.seconds=120 |
            python3 -c '
import json, statistics, sys
answer = json.load(sys.stdin)
rows = [(s["lower"], s["upper"]) for s in answer["series"]]
rows = [(l, float(u if u is not None else "inf")) for l, u in rows]
good = [u / l for l, u in rows if l > 0]
middle = lambda v: f"{statistics.median(v):.4g}" if v else "-"
print("|", sys.argv[1], "|", sys.argv[2], "|", middle([l for l, _ in rows]), "|",
      middle([u for _, u in rows]), "|", middle(good), "|", f"{len(good)} of {len(rows)}",
      "|", "%.0f s |" % answer["seconds"], flush=True)' "$name" $norm
    done
}

# learn MODEL TRAIN-ARGUMENTS...
learn() {
    local model=$folder/$1
    shift
    [ -f "$model" ] || "$robust" train "$@" --out "$model" --quiet > "$model.txt"
}

UCR="--set epochs=300 --set patience=150 --set batch=10"
for net in ItalyPowerDemand/gru ItalyPowerDemand/lstm ECG200/gru GunPoint/gru; do
    s=${net%/*} kind=${net#*/}
    learn $s.$kind.safetensors "$D/ucr/$s/${s}_TRAIN.tsv" \
        --recipe "$kind hidden=16 readout=last" $UCR
    sandwich "$s, $kind 16" "$folder/$s.$kind.safetensors" "$D/ucr/$s/${s}_TEST.tsv"
done

learn motions.safetensors "$D/uea/BasicMotions/BasicMotions_TRAIN.ts" --recipe \
    "gru hidden=16 readout=mean" --set epochs=100 --set patience=100 --set batch=8
sandwich "BasicMotions, gru 16" "$folder/motions.safetensors" \
    "$D/uea/BasicMotions/BasicMotions_TEST.ts"

K=$D/kepler-koi
KOI=(--data "time-file=$K/koi_q1_cadenceno.npy" --data start=108.9328 --data dt=0.0204336
     --data "meta-file=$K/koi_q1_meta.csv" --data detrend=1.5 --data normalize=ppm,zscore
     --data "fold=meta bins=61 width=4" --classes "FALSE POSITIVE,CANDIDATE")
learn koi.safetensors "$K/koi_q1_pdcsap.npy" "${KOI[@]}" --data split=train \
    --recipe "gru hidden=16 readout=last"
sandwich "Kepler near view, gru 16" "$folder/koi.safetensors" "$K/koi_q1_pdcsap.npy" \
    "${KOI[@]}" --data split=test

VOL=(--data role=prices --data window=60 --data target=volatility --data horizon=20
     --data inputs=size,range)
for f in "$D"/stocks-djia/*.csv; do
    case $f in *AAPL*) first=$f ;; *) VOL+=(--data "also=$f") ;; esac
done
learn volatility.safetensors "$first" "${VOL[@]}" --data until=2014-01-01 --data stride=5 \
    --recipe "lstm hidden=8 readout=last" --set epochs=20 --set rate=0.005
sandwich "DJIA volatility, lstm 8" "$folder/volatility.safetensors" "$first" "${VOL[@]}" \
    --data from=2014-01-01 --data stride=60
