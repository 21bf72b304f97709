"""`python -m llmgateway.cli` is the command `llmgateway`."""

from llmgateway.cli import main

main()
