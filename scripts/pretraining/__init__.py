"""Parts of ``scripts/pretrain_encoder.py``: text, batches, model, training and export."""
