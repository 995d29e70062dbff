#!/usr/bin/env bash
# ResNet-8 on CIFAR-10: sparsity, 2:4, channels, int8 and int4, each against the dense float model trained equally long.
# Needs ../shared. About an hour and a half on two cores; SHORT=1 takes minutes.
. "$(dirname "$0")/lib.sh"

cifar
FIT=(--data "$TRAIN" --epochs "$(short 8 1)" --flip --crop 4 --optimizer adamw)
ARMS=${ARMS:-sparse nm channel plain int4}

want() { case " $ARMS " in *" $1 "*) ;; *) return 1 ;; esac; }

cp "$MODEL" "$OUT/resnet8.onnx"
arm dense train "$MODEL" "${FIT[@]}"
if want sparse; then arm sparse80 prune "$MODEL" --sparsity 0.8 "${FIT[@]}"; fi
if want nm; then arm nm24 prune "$MODEL" --pattern 2:4 "${FIT[@]}"; fi
CUT=(prune "$MODEL" --pattern channel --channel-multiple 1 --sparsity 0.5 "${FIT[@]}")
if want channel; then
	for criterion in taylor magnitude random; do arm "channel_$criterion" "${CUT[@]}" --criterion "$criterion"; done
fi
if want plain; then # without solving for what stays
	for criterion in taylor magnitude random; do arm "plain_$criterion" "${CUT[@]}" --criterion "$criterion" --ramp none; done
fi
CAL=(--data "$TRAIN" --samples "$(short 512 32)")
"$TFSOPT" quantize "$OUT/dense.onnx" -o "$OUT/int8.onnx" "${CAL[@]}" --quiet
if want int4; then
	"$TFSOPT" quantize "$OUT/dense.onnx" -o "$OUT/int4_post.onnx" "${CAL[@]}" --weights int4 --quiet
	arm int4_qat quantize "$MODEL" --weights int4 --qat "${FIT[@]}"
fi

echo
echo "ResNet-8, CIFAR-10 (accuracy, that of the dense model, drop in points with its 95 % interval, size)"
judge resnet8 dense "as it came"
judge int8 dense "int8, post-training"
for name in sparse80 nm24 channel_taylor channel_magnitude channel_random plain_taylor plain_magnitude plain_random int4_post int4_qat; do
	if [ -f "$OUT/$name.onnx" ]; then judge "$name" dense; fi
done
