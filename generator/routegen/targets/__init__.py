"""The gateways that documents are rendered for, one module each: plan -> documents."""
