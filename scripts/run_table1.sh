#!/usr/bin/env bash
# The DINOv2 and CLIP rows of the paper's table 1 on ILIAS core: whole picture and pyramid. Further arguments are passed on.
set -euo pipefail
for model in dinov2 clip; do
    for level in 0 3; do
        echo "== $model, level $level"
        python "$(dirname "$0")/../main.py" --model_name "$model" --multi-scale pyramid --crop True \
            --tile_size_res "$level" --compute_metrics "mAP, locscore" --iou_threshold default --pq False "$@"
    done
done
