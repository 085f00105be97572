#!/bin/sh
# Stands in for `tollgate` in the orchestrator's own tests: it speaks the protocol and plays nothing.
#
# A stage writes the digest of its request, without paths, so that outputs change when what they depend on does.
set -eu

outputs_of() {
    case $1 in
    simulate) echo "episodes.parquet steps.parquet" ;;
    classify) echo "boundary_labels.parquet" ;;
    synthesize) echo "sft_examples.parquet" ;;
    optimize) echo "checkpoint/policy.json training_log.parquet" ;;
    evaluate) echo "evaluations.parquet frontier.parquet" ;;
    report) echo "report.html summary.json" ;;
    esac
}

field() {
    sed -n "s/^ *\"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}$/\1/p" "$2" | head -n 1
}

case $1 in
stages)
    cat <<'JSON'
{"contract_version": 1, "operation": {"live": ["spending_limit_usd"]}, "stages": [
  {"slot": "simulate", "version": 1, "inputs": ["tasks"],
   "outputs": [{"kind": "episodes", "path": "episodes.parquet"}, {"kind": "steps", "path": "steps.parquet"}], "selection": []},
  {"slot": "classify", "version": 1, "inputs": ["episodes"],
   "outputs": [{"kind": "boundary_labels", "path": "boundary_labels.parquet"}], "selection": []},
  {"slot": "synthesize", "version": 1, "inputs": ["episodes", "steps", "boundary_labels"],
   "outputs": [{"kind": "sft_examples", "path": "sft_examples.parquet"}], "selection": []},
  {"slot": "optimize", "version": 1, "inputs": ["tasks", "boundary_labels", "sft_examples"],
   "outputs": [{"kind": "checkpoint", "path": "checkpoint"}, {"kind": "training_log", "path": "training_log.parquet"}],
   "selection": ["variants", "train_seeds"]},
  {"slot": "evaluate", "version": 1, "inputs": ["tasks", "boundary_labels", "checkpoint"],
   "outputs": [{"kind": "evaluations", "path": "evaluations.parquet"}, {"kind": "frontier", "path": "frontier.parquet"}], "selection": []},
  {"slot": "report", "version": 1, "inputs": ["tasks", "evaluations", "frontier"],
   "outputs": [{"kind": "report", "path": "report.html"}, {"kind": "summary", "path": "summary.json"}], "selection": []}
]}
JSON
    ;;
check-config)
    if grep -q "refused_key" "$2"; then
        echo "error: $2: \`classify.refused_key\`: unknown field" >&2
        exit 2
    fi
    ;;
validate)
    slot=$(field slot "$3")
    for output in $(outputs_of "$slot"); do
        if [ ! -s "$5/$output" ]; then
            echo "error: $output: not there" >&2
            exit 2
        fi
    done
    echo '{"outputs": [{"rows": 3}, {}]}' >"$5/manifest.json"
    ;;
*)
    request=$3
    output_dir=$(field output_dir "$request")
    for output in $(outputs_of "$1"); do
        mkdir -p "$(dirname "$output_dir/$output")"
        case $output in
        summary.json)
            cat >"$output_dir/$output" <<'JSON'
{"policies": [{"policy_id": "always-large", "family": "always-large", "lambda": null, "budget_kind": "large_calls", "budget_value": 5, "n_episodes": 20,
  "success_rate": 0.85, "success_rate_low": 0.8, "success_rate_high": 0.9, "mean_cost_usd": 0.00125, "mean_large_calls": 4.5, "violations": 0}]}
JSON
            ;;
        training_log.parquet) echo "an attempt" >>"$output_dir/checkpoint/attempts"; echo trained >"$output_dir/$output" ;;
        *) grep -v '"path"\|"output_dir"' "$request" | cksum >"$output_dir/$output" ;;
        esac
    done
    ;;
esac
