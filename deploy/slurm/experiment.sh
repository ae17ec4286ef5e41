#!/bin/bash
# Submits an experiment: a task for each arm and seed, and a job that makes one report
# of them when all have ended.
#   experiment.sh FILE OUT [OPTION OF mdgan-experiment run...]
# OUT is on a disk that all nodes share. SBATCH_ACCOUNT, SBATCH_PARTITION and the like
# say where it runs.
set -euo pipefail

usage='usage: experiment.sh FILE OUT [OPTION OF mdgan-experiment run...]'
file=${1:?$usage}
out=${2:?$usage}
shift 2
here=$(dirname "$(realpath "$0")")
tasks=$(mdgan-experiment run "$file" --out "$out" "$@" --dry-run | wc -l)
mkdir -p "$(dirname "$out")"
array=$(sbatch --parsable --array="1-$tasks" "$here/task.sbatch" "$file" "$out" "$@")
# After any end: a task that failed is named by the others' report.
merge=$(sbatch --parsable --dependency="afterany:$array" --job-name=mdgan-merge \
  --wrap="mdgan-experiment merge '$out' '$out'-tasks/*")
echo "$tasks tasks in job $array, the report in job $merge: $out/report.html"
