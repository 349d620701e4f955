#!/usr/bin/env bash
# Evaluate every checkpoint of runs/mlm_v2_scratch_1536 and runs/mlm_v2_scratch_2048, each with its
# length, in the order of the training. Results go to runs/mlm_v2_evaluation_{time}/{folder}/, and
# next to each checkpoint as evaluate_checkpoint.py puts them; real_coref_entity_results.csv there has a
# row per checkpoint. Further options go to that program.
set -uo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
out="runs/mlm_v2_evaluation_$(date +%Y%m%d_%H%M%S)"
done_count=0 failed=() begun=$SECONDS
shopt -s nullglob
declare -A found
total=0
for length in 1536 2048; do
    folder="runs/mlm_v2_scratch_$length"
    found[$length]=$(printf '%s\n' "$folder"/checkpoint-*/ | sed 's:/$::' | grep -E '/checkpoint-[0-9]+$' | sort -V)
    count=$(grep -c . <<<"${found[$length]}")
    total=$((total + count))
    echo "$folder: $count checkpoint(s), seq_len=$length"
done
if [ "$total" = 0 ]; then
    echo "error: runs/mlm_v2_scratch_1536, …_2048: no checkpoint-N folder. Train or copy them there first." >&2
    exit 2
fi
for length in 1536 2048; do
    for checkpoint in ${found[$length]}; do
        number=$((done_count + ${#failed[@]} + 1))
        echo "[$number/$total] $checkpoint"
        mkdir -p "$out/mlm_v2_scratch_$length"
        if python scripts/evaluate_checkpoint.py --checkpoint "$checkpoint" --seq-len "$length" \
            --csv "$out/real_coref_entity_results.csv" "$@" \
            >"$out/mlm_v2_scratch_$length/$(basename "$checkpoint").txt"; then
            cp "${checkpoint}_eval_results.json" "$out/mlm_v2_scratch_$length/"
            grep -E '^(LAMBADA@1|Real@1|Real@5):' "$out/mlm_v2_scratch_$length/$(basename "$checkpoint").txt"
            done_count=$((done_count + 1))
        else
            failed+=("$checkpoint")
        fi
    done
done
echo "$done_count of $total evaluated in $((SECONDS - begun)) s: $out"
for checkpoint in "${failed[@]}"; do echo "failed: $checkpoint"; done
[ "${#failed[@]}" = 0 ]
