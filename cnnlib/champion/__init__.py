"""The winner: its folder (champion), model card and forms for others (model_card, torch_export),
its predictions (prediction), its one test (final_test) and copies among test photographs
(copies).
"""
