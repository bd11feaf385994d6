"""What a bump costs: time, requests and bytes, beside what teams do without hubtool."""
