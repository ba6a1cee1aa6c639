"""What networks see: photographs decoded once per machine (decode, pixels; kept: what is computed
once and stays in the cache), augmented and batched on the CPU or a GPU (augment, cpu_batches,
gpu_batches), and CustomDataModule (datamodule).
"""
