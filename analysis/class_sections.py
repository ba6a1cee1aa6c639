"""The report's section on classes: what helps one and hurts another."""

from analysis.class_effects import class_sentences
from analysis.findings import Findings
from analysis.page import Paragraph, Points, Section
from analysis.summary import counted


def class_section(findings: Findings) -> Section:
    """At most five sentences, where the trials' recalls by class are known."""
    title, found = "What helps one class and hurts another", findings.class_effects
    if found.table.empty:
        return Section(title, [])
    note = (
        "The validation recall of each class, less the mean over the classes, compared as val_acc"
        f" is above, {findings.comparison.when} ({counted(found.num_trials, 'trial')}). The"
        " p-values are corrected for all pairs of a hyperparameter and a class. As a file:"
        " tables/class_effects.csv."
    )
    return Section(title, [Points(class_sentences(found)), Paragraph(note)])
