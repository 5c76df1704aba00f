"""What Yahoo and the other hosts answer over HTTP. A request goes in, an answer comes out."""
