"""Export of routed adapters to plain LoRA, and what such an export loses."""
