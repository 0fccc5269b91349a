#!/usr/bin/env bash
# The original's exact run on ILIAS core. Expected there: mAP 64.37, LocScore 19.24. Further arguments are passed on.
set -euo pipefail
exec python "$(dirname "$0")/../main.py" --model_name siglip --multi-scale pyramid --crop True --tile_size_res 3 \
    --compute_metrics "mAP, locscore" --iou_threshold default --pq False "$@"
