#!/usr/bin/env bash
set -euo pipefail
pip install --no-deps konlpy==0.6.0
