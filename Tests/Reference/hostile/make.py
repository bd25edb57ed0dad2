#!/usr/bin/env python3
"""Makes the files of fixtures/hostile for safetensors and its index: each keeps, stretches or breaks
one rule of formats/safetensors.md. `expected.json` beside them holds the exact message for each.
Standard library only.

    python3 Tests/Reference/hostile/make.py
"""

import index_files
import safetensors_file
import safetensors_layout  # noqa: F401
import safetensors_text  # noqa: F401

safetensors_file.cases.write(keeping=["expected.json", "reference.json"])
index_files.cases.write()
