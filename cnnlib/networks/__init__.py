"""Networks: what a kind of them is (family), which there are (families), the study's (cnn,
cnn_config, custom_cnn); what is chosen about them (hyperparameter, configuration), how they are
trained (classifier, recipe), and how they are read from a folder (saved, saved_files).
"""
