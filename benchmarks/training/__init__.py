"""Speed and memory of ``cme train`` and of TRL's `SFTTrainer` on the same mix, base, LoRA and steps, in turns."""
