#!/usr/bin/env bash
# Measures on one GPU, within 8 minutes: the costs of adapters at LLaMA-2-7B shapes in bfloat16 (training with 8 rows of 512
# tokens, prefill, decode), and CME's evaluation engine against lm-eval's hf. Needs no network: weights are random.
#
#   benchmarks/gpu.sh OUT            on the first GPU
#   TINY=1 benchmarks/gpu.sh OUT     tiny shapes, also without a GPU, to try the script
#
# OUT gets gpu.json and gpu.md, and for each step its report and its log. Every step has a time limit and starts only if there
# is time left. A step that runs out of memory is repeated with half of the rows, and gpu.md says so.
#
# Variables: PYTHON (default: python), DEVICE (cuda), LIMIT (seconds, 465), BASE (chinese-llama-2-7b), ROUNDS (10), BATCH (8),
# LENGTH (512), TOKENIZER (smollm2-135m if it is installed).
set -uo pipefail

cd "$(dirname "$0")/.." || exit 1
[ $# -eq 1 ] || { echo "usage: benchmarks/gpu.sh OUT" >&2; exit 2; }
OUT=$1
if [ -e "$OUT/gpu.json" ]; then echo "gpu.sh: $OUT has a finished measurement. Give another folder." >&2; exit 2; fi
mkdir -p "$OUT" || exit 1

PYTHON=${PYTHON:-python}
TINY=${TINY:-}
LIMIT=${LIMIT:-465}
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 TQDM_DISABLE=1
# Segments that can grow avoid failures by fragmentation, which would look like too little memory.
export PYTORCH_ALLOC_CONF=${PYTORCH_ALLOC_CONF:-expandable_segments:True}
STEPS=$OUT/steps.tsv
: > "$STEPS"

SECONDS=0
left() { echo $((LIMIT - SECONDS)); }

if ! GPU=$("$PYTHON" -c 'import torch; print(torch.cuda.get_device_name(0) if torch.cuda.is_available() else "")'); then
    echo "gpu.sh: $PYTHON cannot import torch. Set PYTHON to the interpreter of CME's environment." >&2
    exit 1
fi
if [ -z "$GPU" ] && [ -z "$TINY" ]; then
    echo "gpu.sh: PyTorch has no usable GPU. TINY=1 tries the script with tiny shapes on the CPU." >&2
    exit 1
fi
DEVICE=${DEVICE:-$([ -n "$GPU" ] && echo cuda || echo cpu)}

if [ -n "$TINY" ]; then
    BASE=$OUT/tiny.json
    cat > "$BASE" <<'JSON'
{"architectures": ["LlamaForCausalLM"], "hidden_act": "silu", "hidden_size": 64, "intermediate_size": 176,
 "max_position_embeddings": 2048, "model_type": "llama", "num_attention_heads": 4, "num_hidden_layers": 2,
 "num_key_value_heads": 4, "rms_norm_eps": 1e-05, "tie_word_embeddings": false, "vocab_size": 49152}
JSON
    ROUNDS=${ROUNDS:-2} BATCH=${BATCH:-2} LENGTH=${LENGTH:-32} ANSWER=4 DECODE=2 ROWS=2 SIZES=1,2 DATASETS=qqp,nq_open
else
    BASE=${BASE:-chinese-llama-2-7b}
    ROUNDS=${ROUNDS:-10} BATCH=${BATCH:-8} LENGTH=${LENGTH:-512} ANSWER=32 DECODE=8 ROWS=64 SIZES=32,64
    DATASETS=qqp,mmlu,race,nq_open
fi

# step NAME SECONDS COMMAND…: run a command with a time limit and note how it ended. Exit code 124 means that the time was over.
step() {
    local name=$1 most=$2 started=$SECONDS limit code
    shift 2
    limit=$(left)
    # Tiny shapes are tried on slow machines too, so only the total time is limited.
    if [ -z "$TINY" ] && [ "$most" -lt "$limit" ]; then limit=$most; fi
    if [ "$limit" -lt 20 ]; then
        printf '%s\t%s\t%s\t%s\n' "$name" skipped 0 "$*" >> "$STEPS"
        echo "== $name: skipped, because the time is over"
        return 124
    fi
    echo "== $name (at most $limit s)"
    timeout -k 5 "$limit" "$@" > "$OUT/$name.log" 2>&1
    code=$?
    printf '%s\t%s\t%s\t%s\n' "$name" "$code" "$((SECONDS - started))" "$*" >> "$STEPS"
    [ "$code" -eq 0 ] || { echo "   exit code $code: $(tail -n 1 "$OUT/$name.log")"; }
    return "$code"
}

out_of_memory() { grep -qi 'out of memory' "$OUT/$1.log" 2> /dev/null; }

# adapters MODE SECONDS: the costs of one mode, with fewer rows if they do not fit.
adapters() {
    local mode=$1 most=$2 batch=$BATCH name
    while :; do
        name=adapters-$mode
        [ "$batch" -eq "$BATCH" ] || name=adapters-$mode-batch-$batch
        step "$name" "$most" "$PYTHON" -m cme bench adapters --base "$BASE" --dtype bfloat16 --device "$DEVICE" \
            --methods base,lora,moelora,hydralora,teamlora --experts 4 --total-rank 32 --forms fused,loop --modes "$mode" \
            --batch "$batch" --train-length "$LENGTH" --answer-tokens "$ANSWER" --infer-length "$LENGTH" \
            --decode-tokens "$DECODE" --rounds "$ROUNDS" --warmup 2 --out "$OUT/$name" && return 0
        out_of_memory "$name" && [ "$batch" -gt 1 ] || return 1
        batch=$((batch / 2))
    done
}

# evaluation NAME SECONDS BASE…: both engines on the same rows, with smaller batches of lm-eval if they do not fit.
evaluation() {
    local name=$1 most=$2 sizes
    shift 2
    for sizes in "$SIZES" 8,16 1,4; do
        step "$name" "$most" "$PYTHON" -m benchmarks.evaluation "$@" --source mini --rows "$ROWS" --datasets "$DATASETS" \
            --dtype bfloat16 --device "$DEVICE" --batch-sizes "$sizes" --out "$OUT/$name" && return 0
        out_of_memory "$name" || return 1
    done
    return 1
}

INSTALLED=$("$PYTHON" -c 'from cme.models.embedded import gguf_file; print(gguf_file() or "")' 2> /dev/null)
if [ -z "${TOKENIZER:-}" ]; then
    TOKENIZER=smollm2-135m
    if [ -z "$INSTALLED" ]; then
        # Without the embedded base, a small tokenizer of the tests makes more tokens of the same texts, for both engines alike.
        TOKENIZER=$OUT/tokenizer
        "$PYTHON" - "$TOKENIZER" <<'PY' || exit 1
import sys
from tests.tiny import save_tiny_base
from pathlib import Path
save_tiny_base(Path(sys.argv[1]))
PY
    fi
fi

adapters train 180
adapters prefill 75
adapters decode 75
evaluation evaluation-7b 130 --base "$BASE" --tokenizer "$TOKENIZER"
if [ -n "$INSTALLED" ] && [ -z "$TINY" ]; then
    evaluation evaluation-smollm2 60 --base smollm2-135m
fi

"$PYTHON" -m benchmarks.gpu "$OUT" || exit 1
echo "== done after $SECONDS s: $OUT/gpu.md"
# The code says whether every measurement is there.
! grep -q '"incomplete": true' "$OUT/gpu.json"
