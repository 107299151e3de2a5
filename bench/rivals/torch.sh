#!/bin/sh
# torch.sh - Debian's PyTorch at its fastest; usage: torch.sh THREADS
#
# The OpenMP build of OpenBLAS (that with threads of its own fights libgomp for the cores) and AVX-512 in both; a pin to
# lesser kernels inherited from the shell is removed. The settings of malloc keep large tensors from being fresh pages
# in every step, whose faults would cost more than the work.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE OPENBLAS_NUM_THREADS
for directory in /usr/lib/*/openblas-openmp; do
    [ -d "$directory" ] && export LD_LIBRARY_PATH="$directory"
done
if grep -q avx512f /proc/cpuinfo 2>/dev/null; then
    export OPENBLAS_CORETYPE=SKYLAKEX ATEN_CPU_CAPABILITY=avx512
fi
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=68719476736:glibc.malloc.top_pad=268435456
export OMP_NUM_THREADS="$1"
exec "${PYTHON:-/usr/bin/python3}" "$(dirname "$0")/torch_steps.py" "$1"
