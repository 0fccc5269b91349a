#!/usr/bin/env bash
# The original's compressed run on ILIAS core. Expected there: mAP 59.30, LocScore 17.44. Further arguments are passed on.
set -euo pipefail
exec python "$(dirname "$0")/../main.py" --model_name siglip --multi-scale pyramid --crop True --tile_size_res 3 \
    --compute_metrics "mAP, locscore" --iou_threshold default --pq ivfpq --pq_m 64 --pq_nlist 8192 --pq_nbits 8 \
    --pq_nprobe 8192 --pq_dist_type IP --pq_train_res 1 "$@"
