#!/usr/bin/env bash
# AI4I 2020: a small network foresees failures of a milling machine, 339 among 10,000 samples; then 80 % of its weights go, and
# what stays becomes int8. Accuracy says little here: 96.6 % is what "never fails" gets. Needs ../shared. A minute on two cores.
. "$(dirname "$0")/lib.sh"

DATA=$TFSOPT_SHARED/data/ai4i2020/ai4i2020.csv
# Of ten samples eight train, one chooses the rate, one judges; ai4i.yaml has the mean and deviation of those that train.
TRAIN=$DATA#!::5 HELD=$DATA#5::10 TEST=$DATA#::10
PREPARE=(--preprocess testdata/nets/ai4i.yaml --label "Machine failure")
FIT=(--data "$TRAIN" "${PREPARE[@]}" --epochs "$(short 60 3)" --optimizer adamw)
RATES=${RATES:-"0.003 0.01"} SCORE=auc

arm ai4i train testdata/nets/ai4i.tfg "${FIT[@]}"
arm ai4i_balanced train testdata/nets/ai4i.tfg "${FIT[@]}" --class-weights balanced
arm ai4i_longer train "$OUT/ai4i.onnx" "${FIT[@]}"
arm ai4i_sparse prune "$OUT/ai4i.onnx" --sparsity 0.8 "${FIT[@]}"
"$TFSOPT" quantize "$OUT/ai4i_sparse.onnx" -o "$OUT/ai4i_int8.onnx" --data "$TRAIN" "${PREPARE[@]}" --quiet

echo
echo "AI4I 2020 (accuracy, that of the dense model, drop in points with its 95 % interval, size, class 1 being a failure)"
judge ai4i ai4i_longer "from scratch"
judge ai4i_longer ai4i_longer "dense, trained on"
judge ai4i_balanced ai4i_longer "from scratch, classes balanced"
judge ai4i_sparse ai4i_longer "80 % of the weights gone"
judge ai4i_int8 ai4i_longer "and int8"
