#!/usr/bin/env bash
# Makes the bundled models testdata/models/fashion_*.onnx, LeNet-5 (6-16-120-84) and three convolutions, trained by tfsopt on
# all of Fashion-MNIST's 60,000 training images. The same bytes on every machine and for any number of threads.
#
#     apt-get install dataset-fashion-mnist    # Debian's copy of the data, MIT licence
#     make build && testdata/make_fashion.sh   # some minutes on two cores; EPOCHS=1 tries it
#
# testdata/data holds parts of the same files: the first 500 training and the first 2000 test images with their labels,
# in IDX form (http://yann.lecun.com/exdb/mnist), packed by zlib at level 9. This script checks that they still do.
set -eu
cd "$(dirname "$0")/.."

TFSOPT=${TFSOPT:-bin/tfsopt}
FASHION=${FASHION:-/usr/share/datasets/fashion-mnist}
MODELS=${MODELS:-testdata/models}

# same PART WHOLE HEADER: behind HEADER bytes, which tell the size, PART is the beginning of WHOLE.
same() {
	local part whole size
	size=$(($(gzip -dc "$1" | wc -c) - $3))
	part=$(gzip -dc "$1" | tail -c +$(($3 + 1)) | sha256sum)
	whole=$(gzip -dc "$2" | tail -c +$(($3 + 1)) | head -c "$size" | sha256sum)
	[ "$part" = "$whole" ] || { echo "$1 is not the beginning of $2" >&2; exit 1; }
}

for half in train:train test:t10k; do
	for kind in images-idx3:16 labels-idx1:8; do
		same "testdata/data/fashion-${half%:*}-${kind%-*}.gz" "$FASHION/${half#*:}-${kind%:*}-ubyte.gz" "${kind#*:}"
	done
done

# train NET MODEL EPOCHS trains and scores one.
train() {
	"$TFSOPT" train "testdata/nets/$1.tfg" -o "$MODELS/$2.onnx" --preprocess unit --checkpoint none \
		--data "$FASHION/train-images-idx3-ubyte.gz,$FASHION/train-labels-idx1-ubyte.gz" \
		--epochs "${EPOCHS:-$3}" --init 1 --seed 1 --lr 0.05 --flip --weight-decay 0.0005
	"$TFSOPT" evaluate "$MODELS/$2.onnx" --preprocess unit --no-latency \
		--data "$FASHION/t10k-images-idx3-ubyte.gz,$FASHION/t10k-labels-idx1-ubyte.gz"
}

train fashion5 fashion_lenet5 12
train fashion_cnn fashion_cnn 10
