"""Networks: what a kind of them is (family), which there are (families): the study's (cnn/), and
pretrained ones that are fine-tuned (pretrained/), and a user's own (own_family, own_code); what is
chosen about them (hyperparameter, configuration), how they are trained (classifier, recipe,
schedules) and measured (metric), and how they are read from a folder (saved, saved_files).
"""
