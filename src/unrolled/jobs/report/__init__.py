"""An evaluation as one HTML file: photos, captions, references and scores, to be read offline.

The file asks nothing of any network: its style and its script stand in it, and its content security
policy lets these two run and nothing else, whatever a caption or a file's name may hold.
"""

from unrolled.jobs.report.writing import ReportProgress as ReportProgress
from unrolled.jobs.report.writing import write_report as write_report
