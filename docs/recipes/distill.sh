#!/usr/bin/env bash
# A ResNet-8 of half the width learns from the original, fine-tuned as long, and is compared with itself without a teacher.
# Needs ../shared. About half an hour on two cores; SHORT=1 takes minutes.
. "$(dirname "$0")/lib.sh"

cifar
AUGMENT=(--flip --crop 4)
EPOCHS=$(short 8 1) SEEDS=$(short 3 2)
STUDENT=(--student testdata/nets/resnet8_half.tfg --init 1 --weight-decay 0.0005)

arm dense train "$MODEL" --data "$TRAIN" --epochs "$EPOCHS" "${AUGMENT[@]}" --optimizer adamw
STUDENT_RATES=${STUDENT_RATES:-$(short "0.05 0.1" "0.1")}
RATES=$STUDENT_RATES
arm half_kd distill --teacher "$OUT/dense.onnx" "${STUDENT[@]}" --data "$TRAIN" --epochs "$EPOCHS" "${AUGMENT[@]}" --teacher-cache "$OUT/answers"
arm half_alone distill --teacher "$OUT/dense.onnx" "${STUDENT[@]}" --data "$TRAIN" --epochs "$EPOCHS" "${AUGMENT[@]}" --alpha 0 --teacher-cache none
# Both arms at the rate that suits the one without a teacher.
"$TFSOPT" distill --teacher "$OUT/dense.onnx" "${STUDENT[@]}" -o "$OUT/half.onnx" --data "$TRAIN" --held "$TEST" --epochs "$EPOCHS" "${AUGMENT[@]}" \
	--lr "$(cat "$OUT/half_alone.rate")" --seed "$SEED" --threads "$THREADS" --control --seeds "$SEEDS" --teacher-cache "$OUT/answers" --json --quiet >"$OUT/half.json"

echo
echo "half-width ResNet-8, CIFAR-10: points gained by the teacher, 95 % interval paired by image over $SEEDS seeds"
echo "$(number "$OUT/half.json" gain) [$(number "$OUT/half.json" lo), $(number "$OUT/half.json" hi)]"
