"""The family `cnn`, the study's network: what is chosen (config), what can exist (shapes), the
network itself (custom_cnn), and the family that they make (family).
"""
