"""Files on this disk and in a bucket: written in one step (files), read with checks (json_file,
yaml_file, csv_file), locked for one driver (folder_lock), copied to S3 and GCS (buckets: it alone
knows pyarrow), and the weights that trainings keep (training_files). Counts the bytes (traffic).
"""
