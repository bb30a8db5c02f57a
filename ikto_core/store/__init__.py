"""The NATS side: connection, bucket, sync, own record."""
