"""The report's page: its blocks, its sections and words, and its HTML and Markdown.

HTML, CSS and script lie in templates/ and nowhere else.
"""
