"""What did the operator ask for? The one declarative wish for a site, read from `inventories/<site>/mail.yaml`."""
