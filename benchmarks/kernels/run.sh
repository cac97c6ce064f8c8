#!/bin/sh
# Everything again: about 3 minutes on two cores. Needs data/ (see REPORT.md, "Rerun") and pyarrow in lib/.
set -e; cd "$(dirname "$0")"; P=${PYTHON:-python3}
for f in gemm attention moe comm state transfer; do $P $f.py > $f.txt 2>&1; done
$P make_priors.py
