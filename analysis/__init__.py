"""From a sweep's folder to a report: tables in, one page with its figures and tables out."""
