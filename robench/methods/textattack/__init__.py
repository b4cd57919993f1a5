"""What the attack families share that run TextAttack's own code."""
