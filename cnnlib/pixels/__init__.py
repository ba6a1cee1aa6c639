"""What networks see: photographs decoded once per machine (decode, pixels), augmented
and batched on the CPU or a GPU (augment, cpu_batches, gpu_batches), and CustomDataModule
(datamodule).
"""
