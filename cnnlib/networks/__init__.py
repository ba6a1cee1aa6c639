"""Networks: what a kind of them is (family), which there are (families), the study's (cnn,
cnn_config, custom_cnn), pretrained ones and how they are fine-tuned (pretrained,
pretrained_config, backbones, trunks, pretrained_weights, freezing, fine_tuned, features,
feature_batches); what is chosen about them (hyperparameter, configuration), how they are trained
(classifier, recipe), and how they are read from a folder (saved, saved_files).
"""
