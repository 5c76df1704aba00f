"""A fleet of proxies on loopback ports, good ones and bad ones, each with an exit address that is made up."""
