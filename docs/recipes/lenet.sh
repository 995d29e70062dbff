#!/usr/bin/env bash
# LeNet-5 (20-50-500) and LeNet-300-100 on Fashion-MNIST: from scratch, pruned 12 times, with 4-bit shared weights, packed.
# Needs Debian's dataset-fashion-mnist. About half an hour on two cores; SHORT=1 takes a minute.
. "$(dirname "$0")/lib.sh"

FASHION=${FASHION:-/usr/share/datasets/fashion-mnist}
TRAINING=$FASHION/train-images-idx3-ubyte.gz,$FASHION/train-labels-idx1-ubyte.gz
TESTING=$FASHION/t10k-images-idx3-ubyte.gz,$FASHION/t10k-labels-idx1-ubyte.gz
TRAIN=$(short "$TRAINING#!::12" "$TRAINING#1::60") HELD=$(short "$TRAINING#::12" "$TRAINING#::120")
TEST=$(short "$TESTING" "$TESTING#::20")
PREPARE=(--preprocess unit)
FIT=(--data "$TRAIN" "${PREPARE[@]}" --epochs "$(short 10 1)")
NETS=${NETS:-lenet5 lenet300}

for net in $NETS; do
	RATES=${SCRATCH_RATES:-$(short "0.02 0.05" "0.02")}
	SCRATCH=(train "testdata/nets/$net.tfg" "${FIT[@]}" --weight-decay 0.0005)
	arm "${net}_scratch" "${SCRATCH[@]}"
	# Moved images teach LeNet-5 something once the epochs are more than ten; LeNet-300-100 they only hinder.
	if [ "$net" = lenet5 ]; then SCRATCH+=(--shift 1); fi
	arm "$net" "${SCRATCH[@]}"
	RATES=${TUNE_RATES:-$(short "0.02 0.05" "0.02")}
	arm "${net}_longer" train "$OUT/$net.onnx" "${FIT[@]}"
	arm "${net}_12x" prune "$OUT/$net.onnx" --sparsity 0.9167 "${FIT[@]}"
	"$TFSOPT" quantize "$OUT/${net}_12x.onnx" -o "$OUT/${net}_packed.onnx.zst" --mode codebook \
		--data "$TRAIN" --samples "$(short 2048 32)" "${PREPARE[@]}" --quiet
done

echo
echo "Fashion-MNIST (accuracy, that of the dense model, drop in points with its 95 % interval, size)"
for net in $NETS; do
	judge "${net}_scratch" "${net}_longer" "$net from scratch, 10 epochs"
	judge "${net}_12x" "${net}_longer" "$net, 12 times fewer weights"
	judge "${net}_packed.onnx.zst" "${net}_longer" "$net, 4-bit shared weights, .zst"
	judge "${net}_longer" "${net}_longer" "$net, 20 epochs"
done
