#!/bin/bash
# certified.sh -- certified training beside plain and adversarial training: what is proved.
#
# usage: ROBUST_DATA=FOLDER certified.sh COMMAND OUT SET RECIPE RADIUS EPOCHS COUNT
#
# COMMAND is the built program `robust`, OUT a folder for the models. SET of the UCR archive,
# RADIUS in Linf, model units; the first COUNT test series. Each way and seed is a line:
# way, seed, test accuracy, share proved by crown, share that pgd does not break, seconds.
set -eu
command=$1 out=$2 set=$3 recipe=$4 radius=$5 epochs=$6 count=$7
data=$ROBUST_DATA/ucr/$set/$set
times() { python3 -c "print($1 * $2)"; }
attacked="adversarial_norm=100 adversarial_steps=5"
mkdir -p "$out"
for seed in 1 2 3; do
    for way in plain adversarial certified small; do
        case $way in
        plain) options="" ;;
        adversarial) options="adversarial=$radius $attacked" ;;
        certified) options="certified=$radius" ;;
        small) options="certified=$(times "$radius" .4) adversarial=$(times "$radius" .6) $attacked" ;;
        esac
        sets=""
        for option in $options; do sets="$sets --set $option"; done
        model=$out/$set.$way.$seed.safetensors
        # shellcheck disable=SC2086
        seconds=$( { TIMEFORMAT=%U; time "$command" train "${data}_TRAIN.tsv" --recipe "$recipe" \
            --set epochs="$epochs" --set patience="$epochs" $sets --seed $seed --out "$model" \
            --quiet --threads 1 >/dev/null; } 2>&1)
        accuracy=$("$command" predict "$model" "${data}_TEST.tsv" --json |
            sed 's/.*accuracy": \([0-9.]*\),.*/\1/')
        shares=$("$command" certify "$model" "${data}_TEST.tsv" --norm linf --units model \
            --radius "$radius" --reference label --count "$count" --method crown --attack pgd \
            --quiet --threads 1 --json | python3 -c "
import json, sys
s = json.load(sys.stdin)['series']
print(*(f'{sum(x[k] > 0 for x in s) / len(s):.3f}' for k in ('margin_lower', 'margin_upper')))")
        echo "$set $way $seed $accuracy $shares $seconds"
    done
done
