#!/usr/bin/env bash
# All measurements on one GPU in one go, from the project's root: our bench, then the same steps in PyTorch.
#
#     bash bench/gpu.sh [OPTION...]     options go to our bench, those in RIVAL to tools/rival/step.py
#
# Ours is measured in f32 first, then with products in f16. Writes bench.json, bench.md, bench.log, rival.json and rival.log into the
# folder that OUT names, or here. On a bare machine .gpu/ brings Node, Dawn and the Vulkan loader (docs/benchmarks.md says how it is
# filled); elsewhere what `npm ci` has installed is used.
set -uo pipefail
out=${OUT:-.}
ours=(npm run --silent bench --)
if [[ -f .gpu/setup.sh ]]; then
  . .gpu/setup.sh || exit 1
  ours=(node .gpu/bench.mjs)
fi
"${ours[@]}" --precision both --json "$out/bench.json" --markdown "$out/bench.md" "$@" 2>&1 | tee "$out/bench.log"
failed=$?
# Whatever became of ours: the rival's numbers are worth having, too.
read -ra rival <<< "${RIVAL:-}"
python3 tools/rival/step.py --json "$out/rival.json" "${rival[@]}" 2>&1 | tee "$out/rival.log" || failed=1
exit "$failed"
