#!/usr/bin/env bash
set -euo pipefail
pip install --no-deps matbench==0.6
