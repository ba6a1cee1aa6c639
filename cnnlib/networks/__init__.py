"""Networks: their hyperparameters (hyperparameter), CustomCNN (classifier), how they are trained
(recipe), and how they are read from a folder (saved, saved_files).
"""
