"""`python -m llmgateway_server`."""

from llmgateway_server.cli import main

if __name__ == "__main__":
    main()
