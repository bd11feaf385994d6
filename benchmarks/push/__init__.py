"""What a push costs, on real images: time, bytes, processor and memory, beside `docker push` and `skopeo copy`."""
