#!/bin/sh
# Makes the virtual environment: setup.sh PYTHON VENV WHAT, for instance setup.sh python3 .venv '.[dev]'
#
# torch comes first, so that a machine without a GPU gets the small CPU build: PyTorch's own CPU index is
# tried with a short timeout and one retry, then the plain pin. STANCEFRAME_TORCH overrides: `cpu` (only
# the CPU index), `plain` (only the plain pin), or what pip is to install.
set -eu
python=$1
venv=$2
what=$3
cpu_index=https://download.pytorch.org/whl/cpu

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Stanceframe needs Python 3.11 or newer; $python is $("$python" --version). Set PYTHON=…" >&2
    exit 1
}
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
pip="$venv/bin/python -m pip --disable-pip-version-check"
pin=$(grep '^torch==' constraints.txt)

from_cpu_index() {
    $pip --isolated install --quiet --timeout 5 --retries 1 --index-url "$cpu_index" --no-deps "$pin" 2>/dev/null
}
plain() {
    $pip install --quiet "$pin"
}

if ! "$venv/bin/python" -c "import torch, sys; sys.exit(torch.__version__.split('+')[0] != '${pin#torch==}')" 2>/dev/null; then
    case "${STANCEFRAME_TORCH:-auto}" in
    auto)
        if command -v nvidia-smi >/dev/null 2>&1; then
            echo "torch: there is a GPU: $pin" >&2
            plain
        elif from_cpu_index; then
            echo "torch: CPU build from PyTorch's index" >&2
        else
            echo "torch: PyTorch's CPU index cannot be reached: $pin from the package index" >&2
            plain
        fi
        ;;
    cpu) from_cpu_index && echo "torch: CPU build from PyTorch's index" >&2 ;;
    plain) plain && echo "torch: $pin from the package index" >&2 ;;
    *)
        $pip install --quiet "$STANCEFRAME_TORCH"
        echo "torch: $STANCEFRAME_TORCH, as STANCEFRAME_TORCH says" >&2
        ;;
    esac
fi
$pip install --quiet --constraint constraints.txt --editable "$what" --config-settings editable_mode=strict
