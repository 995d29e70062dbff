# What the recipes share. Each of them runs from the repository's root, writes to $OUT and ends with a table. SHORT=1 makes
# them quick, to see that they work; the figures then mean nothing. Every arm is trained at two learning rates; the one with
# the better score on training samples that are held out ($SCORE: held_accuracy or auc) is judged on the test set.
set -euo pipefail

: "${TFSOPT:=bin/tfsopt}" "${OUT:=out/recipes}" "${SHORT:=}" "${SEED:=1}" "${THREADS:=0}" "${SCORE:=held_accuracy}"
: "${TFSOPT_SHARED:=../shared}"
mkdir -p "$OUT"
[ -x "$TFSOPT" ] || make --no-print-directory build

# short LONG SHORT: the first, or the second in a short run.
short() { if [ -n "$SHORT" ]; then echo "$2"; else echo "$1"; fi; }

# number FILE KEY: the last number behind a key in a JSON file; a minus may stand before it.
number() { grep -oE "\"$2\": ?-?[0-9.e+-]+" "$1" | tail -1 | sed -E 's/.*: ?//'; }

# digest: a hash of what it reads.
digest() { sha256sum | cut -c1-16; }

# arm NAME VERB ARGS…: runs the verb at both of $RATES, writing $OUT/NAME.onnx from the better one on $HELD. What is there already
# from the same command, binary and data is kept.
arm() {
	local name=$1 best= score=-1 rate held key
	shift
	key=$({ echo "$@" "$RATES" "$HELD"; sha256sum <"$TFSOPT"; } | digest)
	if [ -f "$OUT/$name.key" ] && [ "$(cat "$OUT/$name.key")" = "$key" ]; then return; fi
	for rate in $RATES; do
		"$TFSOPT" "$@" -o "$OUT/$name.$rate.onnx" --held "$HELD" --lr "$rate" --seed "$SEED" --threads "$THREADS" --json --quiet \
			>"$OUT/$name.$rate.json"
		held=$(number "$OUT/$name.$rate.json" "$SCORE")
		echo "  $name, rate $rate: $SCORE $held on held-out training samples" >&2
		if awk "BEGIN { exit !($held > $score) }"; then score=$held best=$rate; fi
	done
	cp "$OUT/$name.$best.onnx" "$OUT/$name.onnx"
	cp "$OUT/$name.$best.json" "$OUT/$name.json"
	echo "$best" >"$OUT/$name.rate"
	echo "$key" >"$OUT/$name.key"
}

# judge NAME REFERENCE [TITLE]: a line with the model's accuracy on $TEST, the drop against the reference with its interval, and size.
judge() {
	local file=$OUT/$1.onnx
	[ -f "$file" ] || file=$OUT/$1
	"$TFSOPT" evaluate "$file" --reference "$OUT/$2.onnx" --data "$TEST" "${PREPARE[@]}" --no-latency --json --quiet >"$OUT/$1.judged.json"
	local json model reference drop interval more
	json=$(tr -d '\n' <"$OUT/$1.judged.json")
	reference=$(grep -oE '"reference": ?\{[^}]*' <<<"$json" | grep -oE '"top1": ?[0-9.]+' | grep -oE '[0-9.]+$')
	model=$(grep -oE '"model": ?\{[^}]*' <<<"$json" | grep -oE '"top1": ?[0-9.]+' | grep -oE '[0-9.]+$')
	drop=$(grep -oE '"drop": ?-?[0-9.e-]+' <<<"$json" | sed -E 's/.*: ?//')
	interval=$(grep -oE '"drop_ci": ?\[[^]]*' <<<"$json" | sed -E 's/.*\[//; s/,/ /')
	more=$(grep -oE '"model": ?\{[^}]*' <<<"$json" | grep -oE '"(recall|precision|auc)": ?[0-9.]+' | tr -d '":' | xargs -r printf '  %s %.4g' || true)
	printf '%-38s %6.2f %% (%5.2f %%)  drop %6.2f  [%6.2f, %6.2f]  %9d bytes%s\n' "${3:-$1}" "$model" "$reference" "$drop" $interval \
		"$(stat -c %s "$file")" "$more"
}

# cifar sets the model, data and rates of the recipes on CIFAR-10.
cifar() {
	local data=$TFSOPT_SHARED/data/cifar10-train.tar.gz
	MODEL=$TFSOPT_SHARED/models/resnet8_cifar10/resnet8_cifar10_fp32.onnx
	TRAIN=$(short "$data#!::10" "$data#1::100") HELD=$(short "$data#::10" "$data#::200")
	TEST=$(short "$TFSOPT_SHARED/data/cifar10-test" "$TFSOPT_SHARED/data/cifar10-test#::8")
	PREPARE=()
	RATES=${RATES:-$(short "0.001 0.002" "0.001")}
}
