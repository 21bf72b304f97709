"""What the tests share: an upstream scripted to the byte, a raw gRPC client, virtual time."""
