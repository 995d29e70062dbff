#!/usr/bin/env bash
# MobileNetV1-0.25 with half its weights: by magnitude alone, and with the rest solved for from 100 unlabelled images.
# Needs ../shared. A few minutes on two cores.
. "$(dirname "$0")/lib.sh"

MODEL=$TFSOPT_SHARED/models/mobilenet_v1_025/mobilenet_v1_0.25_224_fp32.onnx
DATA=$TFSOPT_SHARED/data/imagenet-500
TEST=$(short "$DATA#!::5" "$DATA#1::25")
PREPARE=(--preprocess tf:crop=224 --label-offset 1)

cp "$MODEL" "$OUT/mobilenet.onnx"
"$TFSOPT" prune "$MODEL" -o "$OUT/half_magnitude.onnx" --sparsity 0.5 --quiet
"$TFSOPT" prune "$MODEL" -o "$OUT/half_solved.onnx" --sparsity 0.5 --reconstruct --data "$DATA#::5" "${PREPARE[@]}" --samples "$(short 100 10)" --quiet

echo
echo "MobileNetV1-0.25, 50 % of the weights (accuracy, that of the original, drop in points with its 95 % interval, size)"
judge half_magnitude mobilenet "magnitude"
judge half_solved mobilenet "reconstruction, 100 images"
