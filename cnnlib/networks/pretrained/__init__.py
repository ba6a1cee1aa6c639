"""The family `pretrained`: which networks there are (backbones), their parts (trunks) and weights,
how they are fine-tuned (config, freezing, fine_tuned), and features that are kept in place of
running a frozen trunk again (features, feature_batches).
"""
