"""Files on this disk and in a bucket: written in one step (files), read with checks (yaml_file,
csv_file), locked for one driver (folder_lock), copied to S3 and GCS (buckets: it alone knows
pyarrow), and the weights that a training keeps (training_files).
"""
