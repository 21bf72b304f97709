"""The gRPC side: services, the mapping between protobuf and domain, statuses, health, drain."""
